import type { Recipient } from '@postern/contract/envelope.ts'
import { splitAddress } from '@postern/policy/directory.ts'
import { expand } from '@postern/policy/expand.ts'
import type { DeliverySettings } from './delivery-settings.ts'

/**
 * Who gets mail that the Queue Manager writes to an address: what a client would reach by it, through aliases, groups,
 * catch-all and the mailbox's name without its box. An unknown address goes to its domain's route unchanged: the next server may
 * know it. No notifications are sent about this mail (RFC 3461 §4.1, §6.1).
 */
export function ownRecipients(address: string, settings: DeliverySettings): Recipient[] {
  const { local, domain } = splitAddress(address)
  const own = settings.directory.domains.get(domain)
  const asItIs: Recipient[] = [{ address, original: address, notify: ['never'] }]
  if (!own) return asItIs
  const expansion = expand({ local, domain: own.name }, address, {
    directory: settings.directory,
    settings: {
      advanced: { mailboxDelimiter: settings.delimiter },
      general: { defaultMailHost: settings.defaultMailHost, postmaster: settings.postmaster },
    },
  })
  if (expansion.kind !== 'found') return asItIs
  return expansion.recipients.map((recipient) => ({ ...recipient, notify: ['never'] }))
}
