import type { Lookups } from '@postern/contract/lookups.ts'
import { reversed } from './address.ts'
import type { Dns } from './dns.ts'

export type DnsblAnswer = NonNullable<Lookups['dnsbl']>[number]

/** Queries one list (RFC 5782 §2), and for a listed address its TXT record, which may be missing. */
export async function askDnsbl(dns: Pick<Dns, 'a' | 'txt'>, ip: string, zone: string): Promise<DnsblAnswer> {
  const name = `${reversed(ip)}.${zone}`
  const answers = await dns.a(name)
  if (answers === 'not-known' || answers.length === 0) return { zone, answers: asked(answers) }
  const texts = await dns.txt(name)
  const text = texts === 'not-known' ? undefined : texts[0]
  return { zone, answers: asked(answers), ...(text ? { text: text.slice(0, 300) } : {}) }
}

function asked(answers: readonly string[] | 'not-known'): DnsblAnswer['answers'] {
  return answers === 'not-known' ? answers : answers.slice(0, 20)
}
