import type { Record } from '@postern/runtime/worker.ts'
import { SpoolDamaged } from '@postern/spool/spool.ts'
import { attempt } from './attempt.ts'
import { type Attempted, type AttemptWorld, deferredFor, type Final } from './attempt-result.ts'
import type { Hands } from '../message/active-messages.ts'
import { deferred } from '../index/rows.ts'
import type { Job, Lane, Turn } from '../scheduling/destination-queue.ts'
import type { Mail } from '../message/message.ts'
import { type Clerk, conclude } from './outcome.ts'

/** A delivery from its start to its record. Whatever goes wrong, the recipients end up somewhere: nothing here rejects. */
export type Deliverer = { world: AttemptWorld; clerk: Clerk; hands: Hands; record: Record }

/** When the notification cannot be written (spool full), the outcome waits so long. */
const pauseMs = 60_000

export async function deliver(job: Job, given: { lane: Lane; turn: Turn }, deliverer: Deliverer): Promise<void> {
  const { turn } = given
  const attempted = await attemptOrExplain(job, given, deliverer)
  if (turn.abandoned) return
  turn.concluding = true
  turn.answered = hasAnswered(attempted)
  await concludeOrPutBack(job, attempted, deliverer)
}

/** Whether the destination took mail (true) or could not be talked to (false). */
function hasAnswered({ results }: Attempted): boolean | undefined {
  const all = [...results.values()]
  if (all.some(({ kind }) => kind === 'delivered')) return true
  const isAway = (result: Final) => result.kind === 'deferred' && awayCauses.has(result.cause)
  return all.some(isAway) ? false : undefined
}

const awayCauses = new Set(['cannot-connect', 'connection-lost'])

/** A delivery that was broken off because this server stops: nothing is counted, and it is made again after the start. */
export async function putBack({ mail, recipients }: Job, lane: Lane, deliverer: Deliverer): Promise<void> {
  const result = deferredFor('4.3.2', 'this server stopped during the attempt', 'stopped')
  const attempted: Attempted = {
    via: { host: lane.way.destination.kind },
    results: new Map(recipients.map((r) => [r, result])),
    startedAt: Date.now(),
    durationMs: 0,
    isBrokenOff: true,
  }
  await concludeOrPutBack({ mail, recipients }, attempted, deliverer)
}

async function attemptOrExplain(
  job: Job,
  { lane, turn }: { lane: Lane; turn: Turn },
  { world, record }: Deliverer,
): Promise<Attempted> {
  const startedAt = Date.now()
  try {
    return await attempt(job, { destination: lane.way.destination, turn }, world)
  } catch (error) {
    const via = (error as { via?: Attempted['via'] }).via ?? { host: lane.way.destination.kind }
    const result = error instanceof SpoolDamaged ? damagedResult(job.mail, error, record) : internalError(error)
    const { results: answered } = error as { results?: Attempted['results'] }
    const results = new Map(job.recipients.map((r) => [r, answered?.get(r) ?? result]))
    return { via, results, startedAt, durationMs: Date.now() - startedAt }
  }
}

function damagedResult(mail: Mail, { damage }: SpoolDamaged, record: Record): Final {
  record('message.damaged', {
    messageId: mail.envelope.id,
    where: `segment ${damage.segment} at ${damage.offset}`.slice(0, 300),
    detail: `${damage.reason}: found when it was to be delivered`,
  })
  return lostResult(damage.reason)
}

export function lostResult(reason: string): Final {
  const reply = `the stored message is damaged (${reason}) and was not passed on`
  return { kind: 'bounced', status: '5.3.0', reply, cause: 'damaged' }
}

function internalError(error: unknown): Final {
  return deferredFor('4.3.0', `the attempt failed here: ${(error as Error).message}`.slice(0, 500), 'internal-error')
}

export async function concludeOrPutBack(
  { mail, recipients }: Pick<Job, 'mail' | 'recipients'>,
  attempted: Attempted,
  { clerk, hands }: Deliverer,
): Promise<void> {
  try {
    await conclude({ mail, recipients, retry: false }, attempted, clerk)
  } catch (error) {
    const cause = `the notification could not be stored: ${(error as Error).message}`.slice(0, 500)
    const nextAt = Date.now() + pauseMs
    const back = recipients.map((r) => ({
      r,
      to: { state: deferred, tries: mail.open.get(r)?.tries ?? 0, nextAt, cause },
    }))
    clerk.journal.settle(mail, back)
  }
  hands.putDown(mail)
}
