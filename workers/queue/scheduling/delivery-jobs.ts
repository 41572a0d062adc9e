import type { DeliveryJob } from '../message/message.ts'
import { domainOf, type QueuedMessage } from '../message/message.ts'
import type { DeliverySettings } from '../route/delivery-settings.ts'
import { nextHopFor } from '../route/destination.ts'

/** One job for each next hop; recipients that were tried before get jobs of their own. */
export function deliveryJobsFor(
  mail: QueuedMessage,
  recipients: readonly number[],
  settings: DeliverySettings,
): DeliveryJob[] {
  if (recipients.length === 1) {
    const [r] = recipients as [number]
    return [{ mail, recipients: [r], retry: (mail.pending.get(r)?.tries ?? 0) > 0 }]
  }
  const jobs = new Map<string, DeliveryJob>()
  for (const r of recipients) {
    const to = mail.envelope.recipients[r]
    if (!to) continue
    const nextHop = nextHopFor(settings, to, mail.rerouted).key
    // A gateway takes all domains in one transaction; a domain's own limits hold only where it is the destination.
    const retry = (mail.pending.get(r)?.tries ?? 0) > 0
    const key = `${retry ? 1 : 0} ${nextHop} ${nextHop === 'gateway' ? '' : domainOf(to.address)} ${to.forwardedBy ?? ''}`
    const job = jobs.get(key)
    if (job) job.recipients.push(r)
    else jobs.set(key, { mail, recipients: [r], retry })
  }
  return [...jobs.values()]
}
