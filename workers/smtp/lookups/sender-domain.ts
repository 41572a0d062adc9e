import type { Lookups } from '@postern/contract/lookups.ts'
import { type Dns, hasAddress } from './dns.ts'

/** Whether mail can be sent back to a domain: its MX, else its own address (RFC 5321 §5.1). The MX hosts are not looked up. */
export async function askSenderDomain(
  dns: Pick<Dns, 'mx' | 'a' | 'aaaa'>,
  domain: string,
): Promise<NonNullable<Lookups['senderDomain']>> {
  const hosts = await dns.mx(domain)
  if (hosts === 'not-known') return 'not-known'
  // RFC 7505 §3: the root, and nothing beside it.
  if (hosts.length > 0) return hosts.every((host) => host === '') ? 'null-mx' : 'mail'
  const has = await hasAddress(dns, domain)
  if (has === 'not-known') return 'not-known'
  return has ? 'mail' : 'none'
}
