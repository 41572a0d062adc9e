import type { Destination } from '../route/destination.ts'
import type { ConcurrencySlot, DeliveryJob } from '../scheduling/destination-queue.ts'
import type { AttemptContext, AttemptResult, Final, Via } from './attempt-result.ts'
import { forwarded, forwarderOf } from './forwarding.ts'
import { deliverToMaildir } from './maildir.ts'
import { deliverRemote } from './remote.ts'
import { deliverToBucket } from './s3.ts'
import { deliverToWebhook } from './webhook.ts'

/** One attempt: a job goes to its destination, and each of its recipients comes back with what became of it. */

export async function attempt(
  job: DeliveryJob,
  { destination, slot }: { destination: Destination; slot: ConcurrencySlot },
  context: AttemptContext,
): Promise<AttemptResult> {
  const startedAt = Date.now()
  const { via, results } = await deliver(job, { destination, slot }, context)
  return { via, results, startedAt, durationMs: Date.now() - startedAt }
}

type Delivered = Pick<AttemptResult, 'via' | 'results'>

async function deliver(
  job: DeliveryJob,
  { destination, slot }: { destination: Destination; slot: ConcurrencySlot },
  context: AttemptContext,
): Promise<Delivered> {
  const forwarder = forwarderOf(job.mail, job.recipients)
  if (forwarder === undefined) return deliverTo(job, { destination, slot }, context)
  const given = await forwarded(job, forwarder, context.reader)
  return 'kind' in given ? same(job, given, { host: 'forward' }) : deliverTo(given, { destination, slot }, context)
}

async function deliverTo(
  job: DeliveryJob,
  { destination, slot }: { destination: Destination; slot: ConcurrencySlot },
  context: AttemptContext,
): Promise<Delivered> {
  switch (destination.kind) {
    case 'discard':
      return same(job, { kind: 'discarded', by: `route discard of ${destination.domain}` }, { host: 'discard' })
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

function same(job: DeliveryJob, result: Final, via: Via): Delivered {
  return { via, results: new Map(job.recipients.map((r) => [r, result])) }
}
