import type { Job } from './destination-queue.ts'
import { domainOf, type Mail } from '../message/message.ts'
import type { Plan } from '../route/delivery-settings.ts'
import { wayFor } from '../route/destination.ts'

/** One job for each way, and apart for what was tried before. */
export function jobsOf(mail: Mail, recipients: readonly number[], plan: Plan): Job[] {
  if (recipients.length === 1) {
    const [r] = recipients as [number]
    return [{ mail, recipients: [r], retry: (mail.open.get(r)?.tries ?? 0) > 0 }]
  }
  const jobs = new Map<string, Job>()
  for (const r of recipients) {
    const to = mail.envelope.recipients[r]
    if (!to) continue
    const { lane } = wayFor(plan, to, mail.rerouted)
    // A gateway takes all domains in one transaction; a domain's own limits hold only where it is the destination.
    const retry = (mail.open.get(r)?.tries ?? 0) > 0
    const key = `${retry ? 1 : 0} ${lane} ${lane === 'gateway' ? '' : domainOf(to.address)} ${to.forwardedBy ?? ''}`
    const job = jobs.get(key)
    if (job) job.recipients.push(r)
    else jobs.set(key, { mail, recipients: [r], retry })
  }
  return [...jobs.values()]
}
