import type { Lookups } from '@postern/contract/lookups.ts'
import { hostPattern } from '@postern/contract/network.ts'
import { type Dns, hasAddress } from './dns.ts'

/** Whether the name in HELO has an address. Not called for address literals. */
export async function askHelo(dns: Pick<Dns, 'a' | 'aaaa'>, name: string): Promise<NonNullable<Lookups['helo']>> {
  const host = name.toLowerCase().replace(/\.$/, '')
  if (!hostPattern.test(host)) return 'does-not-resolve'
  const has = await hasAddress(dns, host)
  if (has === 'not-known') return 'not-known'
  return has ? 'resolves' : 'does-not-resolve'
}
