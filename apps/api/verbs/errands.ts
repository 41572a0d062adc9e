import type { Errand, ErrandAnswer } from '@postern/contract/errands.ts'
import type { ServiceName } from '@postern/contract/services.ts'
import { headRevision } from '@postern/store/control/revisions.ts'
import { answerErrand, errandById, openErrands, passErrand, putErrand } from '@postern/store/records/errands.ts'
import { listWorkers, liveForMs, type WorkerRow } from '@postern/store/records/workers.ts'
import type { Call } from '../call.ts'
import { noteNews, untilNews } from '../news.ts'
import type { Parts } from '../parts.ts'
import { notFound, ProblemError } from '../problem.ts'
import { workerOf } from './workers.ts'

/** What only a worker can do, asked of it through a row: any function may ask, any may answer. */

/** A function must have answered by then. */
const patienceMs = 10_000
const lookEveryMs = 200
const shownAtOnce = 20

export async function liveWorkers(parts: Parts, service: ServiceName): Promise<WorkerRow[]> {
  const now = parts.now()
  const workers = (await listWorkers(parts.records)).filter((worker) => worker.service === service)
  return workers
    .filter(({ heartbeatAt }) => now - heartbeatAt <= liveForMs)
    .sort((a, b) => b.heartbeatAt - a.heartbeatAt)
}

/**
 * Asks and waits. An id that is there already is not asked again, only waited for: `requestHash` says whether it is the same.
 * @returns `undefined` when there was no answer in time; the errand stays
 */
export async function ask(
  { parts, signal }: Call,
  errand: Errand,
  { workers, requestHash }: { workers: readonly WorkerRow[]; requestHash: string },
): Promise<ErrandAnswer | undefined> {
  const row = {
    id: errand.id,
    workers: JSON.stringify(workers.map(({ id }) => id)),
    request: JSON.stringify(errand),
    requestHash,
    answer: null,
    createdAt: parts.now(),
  }
  const isNew = await putErrand(parts.records, row)
  const before = isNew ? row : await errandById(parts.records, errand.id)
  if (before && before.requestHash !== requestHash)
    throw new ProblemError(422, 'The Idempotency-Key was used for another message already.')
  if (isNew) await nudge(parts, workers)
  const until = Date.now() + patienceMs
  for (;;) {
    const answer = (await errandById(parts.records, errand.id))?.answer
    if (answer) return JSON.parse(answer) as ErrandAnswer
    if (Date.now() >= until || signal.aborted) return undefined
    await untilNews(parts, lookEveryMs, signal)
  }
}

/** A revision they have already: they look for errands. What is lost is made up for by the next report. */
async function nudge(parts: Parts, workers: readonly WorkerRow[]): Promise<void> {
  const revision = await headRevision(parts.control)
  const queues = workers.flatMap(({ report }) => report?.queueUrl ?? [])
  await Promise.allSettled(queues.map((url) => parts.nudge.send(url, revision)))
}

export async function listErrands(call: Call): Promise<{ ids: string[] }> {
  return { ids: await openErrands(call.parts.records, workerOf(call).workerId, shownAtOnce) }
}

/** Only to a worker that is asked. */
export async function readErrand(call: Call, id: string): Promise<Errand> {
  return JSON.parse((await ownErrand(call, id)).request) as Errand
}

export async function takeAnswer(call: Call, id: string, answer: ErrandAnswer): Promise<void> {
  const { parts } = call
  await ownErrand(call, id)
  const json = JSON.stringify(answer)
  if (answer.outcome === 'absent') {
    const worker = workerOf(call).workerId
    await parts.records.transaction((queries) => passErrand(queries, { id, worker, last: json }))
  } else await answerErrand(parts.records, id, json)
  noteNews(parts)
}

async function ownErrand(call: Call, id: string) {
  const { workerId } = workerOf(call)
  const row = await errandById(call.parts.records, id)
  const isAsked = row !== undefined && row.answer === null && (JSON.parse(row.workers) as string[]).includes(workerId)
  if (!isAsked) throw notFound(`errand ${id} for ${workerId}`)
  return row
}
