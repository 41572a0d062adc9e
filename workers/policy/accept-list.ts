import { foldAddress, type MailAddress } from '@postern/contract/address.ts'
import { canonicalAddress } from '@postern/contract/ip-address.ts'
import type { ListEntry } from '@postern/contract/lists.ts'
import { expiry } from './address-blocks.ts'

/** The Accept List: addresses, hosts and `user@host`, matched exactly. Maps each value to its expiry. */
export type AcceptList = Map<string, number>

export function addAccept(list: AcceptList, entry: ListEntry): void {
  list.set(entry.value, Math.max(expiry(entry), list.get(entry.value) ?? 0))
}

/** Returns the entry that makes this client or sender count as local. */
export function findAccept(
  list: AcceptList,
  { ip, now }: { ip: string; now: number },
  sender: MailAddress | null,
): string | undefined {
  if (list.size === 0) return undefined
  const address = canonicalAddress(ip)
  if (address && (list.get(address) ?? 0) > now) return address
  if (!sender) return undefined
  if ((list.get(sender.domain) ?? 0) > now) return sender.domain
  const mailbox = foldAddress(sender)
  return (list.get(mailbox) ?? 0) > now ? mailbox : undefined
}
