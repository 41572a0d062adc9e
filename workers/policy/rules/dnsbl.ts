import type { Lookups } from '@postern/contract/lookups.ts'
import type { SecuritySettings } from '@postern/contract/settings.ts'
import { type RuleCheck, refuse } from '../rule.ts'

type List = SecuritySettings['dnsbl'][number]
type ListAnswer = NonNullable<Lookups['dnsbl']>[number]

/**
 * RFC 5782. Of several lists, the first that refuses decides. Applies only to the ports for mail servers: people who
 * submit mail must log in, and their addresses belong on such lists.
 */
export const dnsbl: RuleCheck<'dnsbl'> = ({ ip, listener, lookups }, { settings }) => {
  const lists = settings.security.dnsbl
  if (lists.length === 0 || listener !== 'smtp') return 'pass'
  const marks: string[] = []
  const missing: string[] = []
  for (const list of lists) {
    const heard = lookups?.dnsbl?.find(({ zone }) => zone === list.zone)
    const answer = matching(list, heard)
    if (answer === 'not-known' && (list.action === 'reject' || heard)) missing.push(list.zone)
    if (!heard || answer === undefined || answer === 'not-known') continue
    const because = `${ip} is listed by ${list.zone} (${answer})${heard.text ? `: ${heard.text}` : ''}.`
    if (list.action === 'reject') {
      const values = { ip, zone: list.zone, text: heard.text ? `: ${heard.text}` : '' }
      return refuse({ reply: 'dnsbl', values, close: true }, because)
    }
    marks.push(because)
  }
  if (missing.length > 0) return { missing: `It is not known whether ${missing.join(', ')} list ${ip}.` }
  return marks.length > 0 ? { marks: marks.join(' ') } : 'pass'
}

function matching({ answer }: List, heard: ListAnswer | undefined): string | undefined {
  if (!heard || heard.answers === 'not-known') return 'not-known'
  return heard.answers.find((address) => matchesAnswer(address, answer))
}

/** Matches patterns such as `127.0.0.*`: a star matches any octets. Octets beyond the end of the pattern are ignored. */
function matchesAnswer(address: string, pattern: string): boolean {
  const octets = address.split('.')
  return pattern.split('.').every((wanted, i) => wanted === '*' || wanted === octets[i])
}
