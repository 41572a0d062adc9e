import type { DeliveryJob } from '../message/message.ts'
import { type Attempt, type Outcomes, sameOutcome } from '../message/outcome.ts'
import type { Destination } from '../route/destination.ts'
import type { AttemptContext } from './attempt-context.ts'
import { forwarded, forwarderOf } from './forwarding.ts'
import { deliverToMaildir } from './maildir.ts'
import { deliverRemote } from './remote.ts'
import { deliverToBucket } from './s3.ts'
import type { ConcurrencySlot } from './slot.ts'
import { deliverToWebhook } from './webhook.ts'

/** One attempt: a job goes to its destination, and each of its recipients comes back with what became of it. */

export async function attempt(
  job: DeliveryJob,
  { destination, slot }: { destination: Destination; slot: ConcurrencySlot },
  context: AttemptContext,
): Promise<Attempt> {
  const startedAt = performance.now()
  const { via, outcomes } = await deliver(job, { destination, slot }, context)
  return { via, outcomes, durationMs: Math.round(performance.now() - startedAt) }
}

async function deliver(
  job: DeliveryJob,
  { destination, slot }: { destination: Destination; slot: ConcurrencySlot },
  context: AttemptContext,
): Promise<Outcomes> {
  const forwarder = forwarderOf(job.mail, job.recipients)
  if (forwarder === undefined) return deliverTo(job, { destination, slot }, context)
  const given = await forwarded(job, forwarder, context.reader)
  return 'kind' in given
    ? sameOutcome(job.recipients, given, { host: 'forward' })
    : deliverTo(given, { destination, slot }, context)
}

async function deliverTo(
  job: DeliveryJob,
  { destination, slot }: { destination: Destination; slot: ConcurrencySlot },
  context: AttemptContext,
): Promise<Outcomes> {
  switch (destination.kind) {
    case 'discard':
      return sameOutcome(
        job.recipients,
        { kind: 'discarded', by: `route discard of ${destination.domain}` },
        { host: 'discard' },
      )
    case 'maildir':
      return deliverToMaildir(job, destination.domain, context)
    case 'webhook':
      return deliverToWebhook(job, destination, { ...context, signal: slot.signal })
    case 's3':
      return deliverToBucket(job, destination, { ...context, signal: slot.signal })
    default:
      return deliverRemote(job, { destination, slot }, context)
  }
}
