import type { RecordEvent } from '@postern/runtime/worker.ts'
import { SpoolDamaged } from '@postern/spool/spool.ts'
import { deferred } from '../index/rows.ts'
import type { ActiveMessages } from '../message/active-messages.ts'
import type { QueuedMessage } from '../message/message.ts'
import type { ConcurrencySlot, DeliveryJob, DestinationQueue } from '../scheduling/destination-queue.ts'
import { attempt } from './attempt.ts'
import { type AttemptContext, type AttemptResult, deferredFor, type Final } from './attempt-result.ts'
import { conclude, type OutcomeContext } from './outcome.ts'

/** A delivery from its start to its record. Whatever goes wrong, the recipients end up somewhere: nothing here rejects. */
export type DeliverContext = {
  attemptContext: AttemptContext
  outcomeContext: OutcomeContext
  activeMessages: ActiveMessages
  record: RecordEvent
}

/** When the notification cannot be written (spool full), the outcome waits so long. */
const pauseMs = 60_000

export async function deliver(
  job: DeliveryJob,
  given: { queue: DestinationQueue; slot: ConcurrencySlot },
  context: DeliverContext,
): Promise<void> {
  const { slot } = given
  const attempted = await attemptOrExplain(job, given, context)
  if (slot.abandoned) return
  slot.concluding = true
  slot.reachable = hasAnswered(attempted)
  await concludeOrPutBack(job, attempted, context)
}

/** Whether the destination took mail (true) or could not be talked to (false). */
function hasAnswered({ results }: AttemptResult): boolean | undefined {
  const all = [...results.values()]
  if (all.some(({ kind }) => kind === 'delivered')) return true
  const isAway = (result: Final) => result.kind === 'deferred' && awayCauses.has(result.cause)
  return all.some(isAway) ? false : undefined
}

const awayCauses = new Set(['cannot-connect', 'connection-lost'])

/** A delivery that was broken off because this server stops: nothing is counted, and it is made again after the start. */
export async function putBack(
  { mail, recipients }: DeliveryJob,
  queue: DestinationQueue,
  context: DeliverContext,
): Promise<void> {
  const result = deferredFor('4.3.2', 'this server stopped during the attempt', 'stopped')
  const attempted: AttemptResult = {
    via: { host: queue.nextHop.destination.kind },
    results: new Map(recipients.map((r) => [r, result])),
    startedAt: Date.now(),
    durationMs: 0,
    isBrokenOff: true,
  }
  await concludeOrPutBack({ mail, recipients }, attempted, context)
}

async function attemptOrExplain(
  job: DeliveryJob,
  { queue, slot }: { queue: DestinationQueue; slot: ConcurrencySlot },
  { attemptContext, record }: DeliverContext,
): Promise<AttemptResult> {
  const startedAt = Date.now()
  try {
    return await attempt(job, { destination: queue.nextHop.destination, slot }, attemptContext)
  } catch (error) {
    const via = (error as { via?: AttemptResult['via'] }).via ?? { host: queue.nextHop.destination.kind }
    const result = error instanceof SpoolDamaged ? damagedResult(job.mail, error, record) : internalError(error)
    const { results: answered } = error as { results?: AttemptResult['results'] }
    const results = new Map(job.recipients.map((r) => [r, answered?.get(r) ?? result]))
    return { via, results, startedAt, durationMs: Date.now() - startedAt }
  }
}

function damagedResult(mail: QueuedMessage, { damage }: SpoolDamaged, record: RecordEvent): Final {
  record('message.damaged', {
    messageId: mail.envelope.id,
    where: `segment ${damage.segment} at ${damage.offset}`,
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
  { mail, recipients }: Pick<DeliveryJob, 'mail' | 'recipients'>,
  attempted: AttemptResult,
  { outcomeContext, activeMessages }: DeliverContext,
): Promise<void> {
  try {
    await conclude({ mail, recipients, retry: false }, attempted, outcomeContext)
  } catch (error) {
    const cause = `the notification could not be stored: ${(error as Error).message}`.slice(0, 500)
    const nextAt = Date.now() + pauseMs
    const back = recipients.map((r) => ({
      r,
      to: { state: deferred, tries: mail.pending.get(r)?.tries ?? 0, nextAt, cause },
    }))
    outcomeContext.indexWriter.settle(mail, back)
  }
  activeMessages.release(mail)
}
