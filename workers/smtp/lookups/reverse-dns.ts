import { canonicalAddress } from '@postern/contract/ip-address.ts'
import type { Lookups } from '@postern/contract/lookups.ts'
import { pointerName } from './address.ts'
import type { Dns } from './dns.ts'

/** An address may have many names; this many are looked up. */
const maxNames = 5

/** RFC 8601 §2.7.3: the names of the address, and whether one of them has this address. */
export async function askReverse(
  dns: Pick<Dns, 'ptr' | 'a' | 'aaaa'>,
  ip: string,
): Promise<NonNullable<Lookups['reverseDns']>> {
  const names = await dns.ptr(pointerName(ip))
  if (names === 'not-known') return 'not-known'
  const looked = names.slice(0, maxNames).map((name) => name.slice(0, 255))
  const [first] = looked
  if (first === undefined) return { confirmed: false }
  const answers = await Promise.all(looked.map((name) => (ip.includes(':') ? dns.aaaa(name) : dns.a(name))))
  const found = answers.findIndex(
    (answer) => answer !== 'not-known' && answer.some((one) => canonicalAddress(one) === ip),
  )
  if (found >= 0) return { name: looked[found] as string, confirmed: true }
  return answers.includes('not-known') ? 'not-known' : { name: first, confirmed: false }
}
