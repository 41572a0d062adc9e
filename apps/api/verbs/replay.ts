import type { DraftInput } from '@postern/contract/draft.ts'
import type { Replay, ReplayRequest, ReplayResult } from '@postern/contract/replay.ts'
import { rowsFor } from '@postern/contract/rows.ts'
import { rowLinesById } from '@postern/store/control/rows.ts'
import { yieldToEventLoop } from '@postern/store/database.ts'
import { type FactsRow, factsIn, lostIn, recordsOf } from '@postern/store/records/facts.ts'
import type { Dependencies, ReplayRun } from '../dependencies.ts'
import { iso } from '../pagination.ts'
import { invalid, notFound, ProblemError } from '../problem.ts'
import type { Call } from '../write-revision.ts'
import { changesOfDraft, type DraftChanges } from './draft.ts'

/**
 * Replays recorded sessions against a draft. A replay is a job: it continues when the client stops waiting, and its
 * result is removed after a while.
 */

type Job = { answer: Replay; ended: Promise<void>; endedAt?: number }

const day = 86_400_000
const maxRunning = 2
const keepMs = 3_600_000
const maxKept = 50
const pageRows = 1000
const kinds = rowsFor.smtp.filter((kind) => kind !== 'certificate' && kind !== 'service')
const jobsOf = new WeakMap<Dependencies, Map<string, Job>>()

/** Starts a replay. Throws the 422 that saving the draft would answer. */
export async function replay(call: Call, request: ReplayRequest): Promise<Replay> {
  const { parts } = call
  const until = request.until === undefined ? parts.now() : Date.parse(request.until)
  const since = request.since === undefined ? until - day : Date.parse(request.since)
  if (since >= until)
    throw invalid([{ path: 'since', message: `since is "${iso(since)}" but must be before until, ${iso(until)}` }])
  const change = await changesOfDraft(call, request.draft)
  const job = start(parts, { change, draft: request.draft, since, until, examples: request.examples })
  await Promise.race([job.ended, seconds(request.waitSeconds)])
  return job.answer
}

export async function readReplay({ parts }: Call, id: string): Promise<Replay> {
  const job = jobsOf.get(parts)?.get(id)
  if (!job) throw notFound(`replay ${id}. Results are kept for an hour`)
  return job.answer
}

type Asked = { change: DraftChanges; draft: DraftInput; since: number; until: number; examples: number }

function start(parts: Dependencies, asked: Asked): Job {
  const jobs = jobsOf.get(parts) ?? new Map<string, Job>()
  jobsOf.set(parts, jobs)
  const now = parts.now()
  for (const [id, { endedAt }] of jobs)
    if (endedAt !== undefined && (now - endedAt > keepMs || jobs.size > maxKept)) jobs.delete(id)
  if ([...jobs.values()].filter(({ endedAt }) => endedAt === undefined).length >= maxRunning)
    throw new ProblemError(429, `${maxRunning} replays are already running. Try again when one has finished.`)
  const answer: Replay = {
    id: parts.newId(),
    state: 'running',
    progress: { sessions: 0, of: 0 },
    since: iso(asked.since),
    until: iso(asked.until),
    revision: asked.change.revision,
    dropped: 0,
    withoutVerdict: withoutVerdict(asked.draft),
  }
  const job: Job = { answer, ended: Promise.resolve() }
  const startedAt = performance.now()
  job.ended = run(parts, asked, answer)
    .then((result) => Object.assign(answer, result, { state: 'done' }))
    .catch((error: unknown) => {
      parts.log.error({ error: String(error) }, 'a replay failed')
      Object.assign(answer, { state: 'failed', error: 'The replay failed; the log has the details.' })
    })
    .then(() => {
      answer.tookMs = Math.round(performance.now() - startedAt)
      job.endedAt = parts.now()
    })
  parts.background(job.ended)
  jobs.set(answer.id, job)
  return job
}

async function run(
  parts: Dependencies,
  { change, since, until, examples }: Asked,
  answer: Replay,
): Promise<ReplayResult> {
  const batches = await factsIn(parts.records, { since, until })
  answer.progress.of = batches.reduce((sum, { sessions }) => sum + sessions, 0)
  answer.dropped = batches.reduce((sum, { dropped }) => sum + dropped, await lostIn(parts.records, { since, until }))
  const engine = parts.replayer({ revision: change.revision, since, until, examples })
  try {
    await give(parts, engine)
    await engine.begin(change.changes)
    for (const batch of batches) await one(parts, { engine, batch, answer })
    return await engine.result()
  } finally {
    engine.end()
  }
}

/** Sends the saved rows, one page at a time. The database renders a Kill File of a million entries as text. */
async function give(parts: Dependencies, engine: ReplayRun): Promise<void> {
  for (const kind of kinds)
    for (let after = ''; ; ) {
      const { n, last, text } = await rowLinesById(parts.control, kind, { after, limit: pageRows })
      if (text) await engine.rows(text)
      after = last ?? after
      if (n < pageRows) break
      await yieldToEventLoop()
    }
}

type One = { engine: ReplayRun; batch: FactsRow; answer: Replay }

async function one(parts: Dependencies, { engine, batch, answer }: One): Promise<void> {
  const records = await recordsOf(parts.records, batch.id)
  if (records) answer.progress.sessions = await engine.facts(records)
  else answer.dropped += batch.sessions
  await yieldToEventLoop()
}

const silentGroups = ['queue', 'logging'] as const

/** Returns the drafted settings that a replay cannot test, because they only affect the queue or the log. */
function withoutVerdict({ settings = {} }: DraftInput): string[] {
  return silentGroups.flatMap((group) => Object.keys(settings[group] ?? {}).map((key) => `${group}.${key}`))
}

function seconds(count: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, count * 1000)
    ;(timer as { unref?: () => void }).unref?.()
  })
}
