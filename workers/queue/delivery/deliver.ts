import type { RecordEvent } from '@postern/runtime/worker.ts'
import { SpoolDamaged } from '@postern/spool/spool.ts'
import type { ActiveMessages } from '../message/active-messages.ts'
import { type DeliveryJob, deferred, type QueuedMessage } from '../message/message.ts'
import { type Attempt, deferredOutcome, type Outcome, sameOutcome } from '../message/outcome.ts'
import { reasonText } from '../message/waiting-reason.ts'
import type { Destination } from '../route/destination.ts'
import { attempt } from './attempt.ts'
import type { AttemptContext } from './attempt-context.ts'
import { conclude, type OutcomeContext } from './outcome.ts'
import type { ConcurrencySlot } from './slot.ts'

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
  given: { destination: Destination; slot: ConcurrencySlot },
  context: DeliverContext,
): Promise<void> {
  const { slot } = given
  const result = await attemptOrExplain(job, given, context)
  if (slot.abandoned) return
  slot.concluding = true
  slot.reachable = hasAnswered(result)
  await concludeOrPutBack(job, result, context)
}

/** Whether the destination took mail (true) or could not be talked to (false). */
function hasAnswered({ outcomes }: Attempt): boolean | undefined {
  const all = [...outcomes.values()]
  if (all.some(({ kind }) => kind === 'delivered')) return true
  const isAway = (result: Outcome) => result.kind === 'deferred' && awayCauses.has(result.cause)
  return all.some(isAway) ? false : undefined
}

const awayCauses = new Set(['cannot-connect', 'connection-lost'])

/** A delivery that was broken off because this server stops: nothing is counted, and it is made again after the start. */
export async function putBack(
  { mail, recipients }: DeliveryJob,
  destination: Destination,
  context: DeliverContext,
): Promise<void> {
  const stopped = deferredOutcome('4.3.2', 'this server stopped during the attempt', 'stopped')
  const result: Attempt = {
    ...sameOutcome(recipients, stopped, { host: destination.kind }),
    durationMs: 0,
    isBrokenOff: true,
  }
  await concludeOrPutBack({ mail, recipients }, result, context)
}

async function attemptOrExplain(
  job: DeliveryJob,
  { destination, slot }: { destination: Destination; slot: ConcurrencySlot },
  { attemptContext, record }: DeliverContext,
): Promise<Attempt> {
  const startedAt = performance.now()
  try {
    return await attempt(job, { destination, slot }, attemptContext)
  } catch (error) {
    const via = (error as { via?: Attempt['via'] }).via ?? { host: destination.kind }
    const result = error instanceof SpoolDamaged ? recordDamage(job.mail, error, record) : internalError(error)
    const { outcomes: answered } = error as { outcomes?: Attempt['outcomes'] }
    const outcomes = new Map(job.recipients.map((r) => [r, answered?.get(r) ?? result]))
    return { via, outcomes, durationMs: Math.round(performance.now() - startedAt) }
  }
}

function recordDamage(mail: QueuedMessage, { damage }: SpoolDamaged, record: RecordEvent): Outcome {
  record('message.damaged', {
    messageId: mail.envelope.id,
    where: `segment ${damage.segment} at ${damage.offset}`,
    detail: `${damage.reason}: found when it was to be delivered`,
  })
  return damagedOutcome(damage.reason)
}

export function damagedOutcome(reason: string): Outcome {
  const reply = `the stored message is damaged (${reason}) and was not passed on`
  return { kind: 'bounced', status: '5.3.0', reply, cause: 'damaged' }
}

function internalError(error: unknown): Outcome {
  return deferredOutcome(
    '4.3.0',
    `the attempt failed here: ${(error as Error).message}`.slice(0, 500),
    'internal-error',
  )
}

export async function concludeOrPutBack(
  { mail, recipients }: Pick<DeliveryJob, 'mail' | 'recipients'>,
  result: Attempt,
  { outcomeContext, activeMessages }: DeliverContext,
): Promise<void> {
  try {
    await conclude({ mail, recipients, retry: false }, result, outcomeContext)
  } catch (error) {
    const reply = `the notification could not be stored: ${(error as Error).message}`
    const cause = reasonText({ cause: 'internal-error', reply })
    const nextAt = outcomeContext.clock.now() + pauseMs
    const back = recipients.map((r) => ({
      r,
      to: { state: deferred, tries: mail.pending.get(r)?.tries ?? 0, nextAt, cause },
    }))
    outcomeContext.indexWriter.settle(mail, back)
  }
  activeMessages.release(mail)
}
