import type { SessionFacts } from '@postern/contract/facts.ts'
import { authMechanisms, isOurs, mayExpand, mayShowSecret } from '@postern/policy/login.ts'
import type { Policy } from '@postern/policy/policy.ts'

/** What EHLO offers: one row each. An extension stands here with `honoured: false` until all of Postern keeps its promise. */

type Capability = {
  keyword: string
  rfc: string
  honoured: boolean
  /** Why it is offered, or why not yet. */
  because: string
  /** What stands after the keyword; `null`: not offered to this client now. Absent: always, without parameters. */
  offer?(facts: SessionFacts, policy: Policy): string | null
}

const capabilities: readonly Capability[] = [
  { keyword: 'PIPELINING', rfc: '2920', honoured: true, because: 'Commands are answered in order, replies together.' },
  {
    keyword: 'SIZE',
    rfc: '1870',
    honoured: true,
    because: 'general.maxMessageBytes is enforced at MAIL and at the end of data.',
    offer: (_facts, { settings }) =>
      settings.general.maxMessageBytes > 0 ? String(settings.general.maxMessageBytes) : '0',
  },
  {
    keyword: '8BITMIME',
    rfc: '6152',
    honoured: true,
    because: 'Octets are stored as they came; BODY is in the envelope.',
  },
  { keyword: 'ENHANCEDSTATUSCODES', rfc: '2034', honoured: true, because: 'Every reply of the catalogue has one.' },
  {
    keyword: 'STARTTLS',
    rfc: '3207',
    honoured: true,
    because: 'Offered as soon as a certificate is loaded.',
    offer: ({ tls, tlsAvailable, listener }, { settings }) =>
      !tls && tlsAvailable && listener !== 'smtps' && settings.tls.starttls ? '' : null,
  },
  {
    keyword: 'AUTH',
    rfc: '4954',
    honoured: true,
    because: 'Passwords of the accounts, or tokens of the issuer that the settings name; under TLS.',
    offer: (facts, policy) => {
      if (policy.settings.advanced.disableAuth || facts.login !== undefined) return null
      const mechanisms = authMechanisms(policy).filter((mechanism) => mayShowSecret(mechanism, facts, policy))
      return mechanisms.join(' ') || null
    },
  },
  {
    keyword: 'LIMITS',
    rfc: '9422',
    honoured: true,
    because: 'advanced.maxRecipients is enforced with 452 4.5.3.',
    offer: (_facts, { settings }) =>
      settings.advanced.maxRecipients > 0 ? `RCPTMAX=${settings.advanced.maxRecipients}` : null,
  },
  {
    keyword: 'DSN',
    rfc: '3461',
    honoured: true,
    because:
      'NOTIFY, ORCPT, RET and ENVID travel in the envelope; the Queue Manager reports by them or passes them on.',
  },
  { keyword: 'HELP', rfc: '5321', honoured: true, because: 'HELP lists the commands.' },
  {
    keyword: 'VRFY',
    rfc: '5321',
    honoured: true,
    because: 'Where its answers tell something: security.disableVrfy is off.',
    offer: (_facts, { settings }) => (settings.security.disableVrfy ? null : ''),
  },
  {
    keyword: 'EXPN',
    rfc: '5321',
    honoured: true,
    because: 'To whom the security settings let see groups (RFC 5321 §3.5.2: where it is supported it is listed).',
    offer: (facts, policy) => (mayExpand(policy, facts) ? '' : null),
  },
  {
    keyword: 'SMTPUTF8',
    rfc: '6531',
    honoured: true,
    because:
      'UTF-8 in addresses and headers; the Queue Manager returns such mail where the next host does not offer it.',
  },
  {
    keyword: 'REQUIRETLS',
    rfc: '8689',
    honoured: true,
    because: 'Under TLS only. The envelope says it, and the Queue Manager hands on under verified TLS or not at all.',
    offer: ({ tls }) => (tls ? '' : null),
  },
  {
    keyword: 'ETRN',
    rfc: '1985',
    honoured: true,
    because:
      'For clients in the relay list or logged in: the queue of one domain is tried now, by an order as any other.',
    offer: (facts, policy) => (isOurs(policy, facts) ? '' : null),
  },
  {
    keyword: 'CHUNKING',
    rfc: '3030',
    honoured: true,
    because: 'BDAT is read by its count; BINARYMIME is not offered, so that every message can be sent on with DATA.',
  },
]

/** Every keyword that EHLO may offer. */
export const keywordsOffered: readonly string[] = capabilities
  .filter(({ honoured }) => honoured)
  .map(({ keyword }) => keyword)

const byKeyword = new Map(capabilities.map((row) => [row.keyword, row]))

export function isHonoured(keyword: string): boolean {
  return byKeyword.get(keyword)?.honoured === true
}

/** The keyword lines for this client, in order. */
export function offered(facts: SessionFacts, policy: Policy): string[] {
  const lines: string[] = []
  for (const { keyword, honoured, offer } of capabilities) {
    const parameters = honoured ? (offer ? offer(facts, policy) : '') : null
    if (parameters !== null) lines.push(parameters === '' ? keyword : `${keyword} ${parameters}`)
  }
  return lines
}
