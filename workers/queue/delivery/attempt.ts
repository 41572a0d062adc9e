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
  { destination, turn }: { destination: Destination; turn: ConcurrencySlot },
  world: AttemptContext,
): Promise<AttemptResult> {
  const startedAt = Date.now()
  const { via, results } = await deliver(job, { destination, turn }, world)
  return { via, results, startedAt, durationMs: Date.now() - startedAt }
}

type Delivered = Pick<AttemptResult, 'via' | 'results'>

async function deliver(
  job: DeliveryJob,
  { destination, turn }: { destination: Destination; turn: ConcurrencySlot },
  world: AttemptContext,
): Promise<Delivered> {
  const forwarder = forwarderOf(job.mail, job.recipients)
  if (forwarder === undefined) return deliverTo(job, { destination, turn }, world)
  const given = await forwarded(job, forwarder, world.reader)
  return 'kind' in given ? same(job, given, { host: 'forward' }) : deliverTo(given, { destination, turn }, world)
}

async function deliverTo(
  job: DeliveryJob,
  { destination, turn }: { destination: Destination; turn: ConcurrencySlot },
  world: AttemptContext,
): Promise<Delivered> {
  switch (destination.kind) {
    case 'discard':
      return same(job, { kind: 'discarded', by: `route discard of ${destination.domain}` }, { host: 'discard' })
    case 'maildir':
      return deliverToMaildir(job, destination.domain, world)
    case 'webhook':
      return deliverToWebhook(job, destination, { ...world, signal: turn.signal })
    case 's3':
      return deliverToBucket(job, destination, { ...world, signal: turn.signal })
    default:
      return deliverRemote(job, { destination, turn }, world)
  }
}

function same(job: DeliveryJob, result: Final, via: Via): Delivered {
  return { via, results: new Map(job.recipients.map((r) => [r, result])) }
}
