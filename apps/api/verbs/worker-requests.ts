import type { ServiceName } from '@postern/contract/services.ts'
import { chunkBytes, type WorkerRequest, type WorkerRequestAnswer } from '@postern/contract/worker-requests.ts'
import { headRevision } from '@postern/store/control/revisions.ts'
import {
  answerWorkerRequest,
  openWorkerRequests,
  passWorkerRequest,
  putWorkerRequest,
  workerRequestById,
} from '@postern/store/records/worker-requests.ts'
import { isLive, listWorkers, type WorkerRow } from '@postern/store/records/workers.ts'
import type { Dependencies } from '../dependencies.ts'
import { chunkOf, dropChunks, putChunk } from '../message-chunks.ts'
import { notFound, ProblemError } from '../problem.ts'
import { recentEvents } from '../recent-events.ts'
import { readBytes } from '../request.ts'
import type { Call } from '../write-revision.ts'
import { workerOf } from './workers.ts'

/**
 * Requests for work that only a worker can do. They are rows, so any API process can ask and any can receive the
 * answer.
 */

/** Must be short enough for a function to answer in time. */
const timeoutMs = 10_000
const lookEveryMs = 200
const shownAtOnce = 20

export async function liveWorkers(parts: Dependencies, service: ServiceName): Promise<WorkerRow[]> {
  const now = parts.now()
  const workers = (await listWorkers(parts.records)).filter((worker) => worker.service === service)
  return workers.filter((worker) => isLive(worker, now)).sort((a, b) => b.heartbeatAt - a.heartbeatAt)
}

/**
 * Places a request and waits for the answer. If the id already exists, only waits; `requestHash` shows whether it is
 * the same request.
 * @returns no `answer` if none arrived in time; the request stays
 */
export async function ask(
  { parts, signal }: Call,
  request: WorkerRequest,
  { workers, requestHash }: { workers: readonly WorkerRow[]; requestHash: string },
): Promise<{ answer: WorkerRequestAnswer | undefined; isNew: boolean }> {
  const row = {
    id: request.id,
    workers: JSON.stringify(workers.map(({ id }) => id)),
    request: JSON.stringify(request),
    requestHash,
    answer: null,
    createdAt: parts.now(),
  }
  const isNew = await putWorkerRequest(parts.records, row)
  const before = isNew ? row : await workerRequestById(parts.records, request.id)
  if (before && before.requestHash !== requestHash)
    throw new ProblemError(422, 'This Idempotency-Key was already used for another message.')
  if (isNew) await notify(parts, workers)
  // A large message takes longer to transfer, so add a quarter of a second for each MiB.
  const until = performance.now() + timeoutMs + (request.kind === 'submit' ? request.chunks * 128 : 0)
  for (;;) {
    const answer = (await workerRequestById(parts.records, request.id))?.answer
    if (answer) return { answer: JSON.parse(answer) as WorkerRequestAnswer, isNew }
    if (performance.now() >= until || signal.aborted) return { answer: undefined, isNew }
    await recentEvents(parts).more(lookEveryMs, signal)
  }
}

/**
 * Sends the current revision, which makes workers look for requests. If a notification is lost, the worker's next
 * report makes up for it.
 */
async function notify(parts: Dependencies, workers: readonly WorkerRow[]): Promise<void> {
  const revision = await headRevision(parts.control)
  const queues = workers.flatMap(({ report }) => report?.queueUrl ?? [])
  await Promise.allSettled(queues.map((url) => parts.notifyWorkers.send(url, revision)))
}

export async function listWorkerRequests(call: Call): Promise<{ ids: string[] }> {
  return { ids: await openWorkerRequests(call.parts.records, workerOf(call).workerId, shownAtOnce) }
}

/** Returns the request, but only to a worker that it is addressed to. */
export async function readWorkerRequest(call: Call, id: string): Promise<WorkerRequest> {
  return JSON.parse((await ownWorkerRequest(call, id)).request) as WorkerRequest
}

export async function takeAnswer(call: Call, id: string, answer: WorkerRequestAnswer): Promise<void> {
  const { parts } = call
  const request = JSON.parse((await ownWorkerRequest(call, id)).request) as WorkerRequest
  const json = JSON.stringify(answer)
  if (answer.outcome === 'absent') {
    const worker = workerOf(call).workerId
    await parts.records.transaction((queries) => passWorkerRequest(queries, { id, worker, last: json }))
  } else {
    await answerWorkerRequest(parts.records, id, json)
    if (request.kind === 'submit') await dropChunks(parts, request)
  }
  recentEvents(parts).wake()
}

/** Returns a chunk of the message that this worker should store. */
export async function readChunk(call: Call, id: string, n: number): Promise<Response> {
  const request = await readWorkerRequest(call, id)
  const bytes = request.kind === 'submit' ? await chunkOf(call.parts, request.bundle, n) : undefined
  if (!bytes) throw notFound(`chunk ${n} of request ${id}`)
  return new Response(bytes as Uint8Array<ArrayBuffer>, { headers: { 'content-type': 'application/octet-stream' } })
}

/** Stores a chunk of the message that this worker shows. */
export async function takeChunk(call: Call, { id, n }: { id: string; n: number }, request: Request): Promise<void> {
  const { kind } = await readWorkerRequest(call, id)
  if (kind !== 'content') throw notFound(`content that request ${id} asks for`)
  const bytes = await readBytes(request, chunkBytes)
  await putChunk(call.parts, { bundle: id, n, bytes })
}

async function ownWorkerRequest(call: Call, id: string) {
  const { workerId } = workerOf(call)
  const row = await workerRequestById(call.parts.records, id)
  const isAsked = row !== undefined && row.answer === null && (JSON.parse(row.workers) as string[]).includes(workerId)
  if (!isAsked) throw notFound(`request ${id} for ${workerId}`)
  return row
}
