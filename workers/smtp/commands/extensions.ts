import type { SessionFacts } from '@postern/contract/facts.ts'
import { authMechanisms, isOurs, mayExpand, mayShowSecret } from '@postern/policy/login.ts'
import type { Policy } from '@postern/policy/policy.ts'

/** The service extensions that EHLO offers, in the order of its reply. `db/contract/rfcs.ts` says which RFC each is from. */

type Extension = {
  keyword: string
  /** Its parameters, empty for none; `null`: not offered to this client now. Absent: always offered, without parameters. */
  parameters?(facts: SessionFacts, policy: Policy): string | null
}

const extensions: readonly Extension[] = [
  { keyword: 'PIPELINING' },
  { keyword: 'SIZE', parameters: (_facts, { settings }) => String(Math.max(0, settings.general.maxMessageBytes)) },
  { keyword: '8BITMIME' },
  { keyword: 'ENHANCEDSTATUSCODES' },
  {
    keyword: 'STARTTLS',
    parameters: ({ tls, tlsAvailable, listener }, { settings }) =>
      !tls && tlsAvailable && listener !== 'smtps' && settings.tls.starttls ? '' : null,
  },
  {
    keyword: 'AUTH',
    parameters: (facts, policy) => {
      if (policy.settings.advanced.disableAuth || facts.login !== undefined) return null
      const mechanisms = authMechanisms(policy).filter((mechanism) => mayShowSecret(mechanism, facts, policy))
      return mechanisms.join(' ') || null
    },
  },
  {
    keyword: 'LIMITS',
    parameters: (_facts, { settings }) =>
      settings.advanced.maxRecipients > 0 ? `RCPTMAX=${settings.advanced.maxRecipients}` : null,
  },
  { keyword: 'DSN' },
  { keyword: 'HELP' },
  { keyword: 'VRFY', parameters: (_facts, { settings }) => (settings.security.disableVrfy ? null : '') },
  // RFC 5321 §3.5.2: where EXPN is supported, it is listed.
  { keyword: 'EXPN', parameters: (facts, policy) => (mayExpand(policy, facts) ? '' : null) },
  { keyword: 'SMTPUTF8' },
  // RFC 8689 §2: offered under TLS only.
  { keyword: 'REQUIRETLS', parameters: ({ tls }) => (tls ? '' : null) },
  { keyword: 'ETRN', parameters: (facts, policy) => (isOurs(policy, facts) ? '' : null) },
  // BINARYMIME is not offered: so every message can be sent on with DATA.
  { keyword: 'CHUNKING' },
]

/** Every keyword that EHLO may offer. */
export const keywordsOffered: readonly string[] = extensions.map(({ keyword }) => keyword)

/** The keyword lines for this client, in order. */
export function offered(facts: SessionFacts, policy: Policy): string[] {
  const lines: string[] = []
  for (const { keyword, parameters } of extensions) {
    const text = parameters ? parameters(facts, policy) : ''
    if (text !== null) lines.push(text === '' ? keyword : `${keyword} ${text}`)
  }
  return lines
}
