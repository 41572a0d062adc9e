import { type RuleCheck, refuse, senderAddress } from '../rule.ts'

/**
 * Requires that the sender's domain can receive mail: it has an MX or an address (RFC 5321 §5.1), and no null MX (RFC
 * 7505).
 */
export const senderDomain: RuleCheck<'sender-domain'> = ({ facts: { lookups }, sender }, { settings, directory }) => {
  const { checkSenderDomain } = settings.security
  const domain = senderAddress(sender)?.domain
  if (checkSenderDomain === 'off' || domain === undefined || domain.startsWith('[')) return 'pass'
  if (directory.domains.has(domain)) return 'pass'
  const found = lookups?.senderDomain
  if (found === 'mail') return 'pass'
  if (found === undefined) return checkSenderDomain === 'mark' ? 'pass' : { missing: unknown(domain) }
  if (checkSenderDomain === 'mark')
    return found === 'not-known' ? { missing: unknown(domain) } : { marks: said[found](domain) }
  return refuse({ ...refusals[found], values: { domain } }, said[found](domain))
}

const refusals = {
  none: { reply: 'senderDomainUnknown' },
  'null-mx': { reply: 'senderDomainNullMx' },
  // The setting requires an answer, so on DNS trouble the client is asked to try again.
  'not-known': { reply: 'senderDomainNotKnown' },
} as const

const said = {
  none: (domain: string) => `${domain} has no MX or address record.`,
  'null-mx': (domain: string) => `${domain} has a null MX: it neither sends nor receives mail.`,
  'not-known': unknown,
}

function unknown(domain: string): string {
  return `It is not known whether ${domain} receives mail.`
}
