import type { EventFields, VerdictRecord } from '@postern/contract/events.ts'
import type { SessionFacts } from '@postern/contract/facts.ts'
import type { Verdict } from '@postern/contract/verdict.ts'

/** How sessions and verdicts stand in events: printable, and never a secret; the recorder cuts them to the contract's lengths. */

export type ClientRecord = EventFields<'session.error'>['client']

export function clientRecord({ ip, helo, login, tls }: SessionFacts): ClientRecord {
  const client: ClientRecord = { ip }
  if (helo !== undefined) client.helo = helo
  if (login !== undefined) client.login = login
  if (tls) client.tls = `${tls.version} ${tls.cipher}`
  return client
}

/** `reply`: the first line as the client read it. */
export function verdictRecord(verdict: Verdict, reply: string): VerdictRecord {
  const { stage, rule, reason, revision, explanation, trail } = verdict
  return {
    stage,
    rule,
    reason,
    revision,
    reply: printable(reply.trimEnd()),
    explanation: explanation.map(printable),
    trail: trail.map((step) => (step.because ? { ...step, because: printable(step.because) } : step)),
  }
}

/** What a stranger sent, fit to be shown. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, '?')
}

/** As `printable`, and no longer than `length`. */
export function cut(text: string, length: number): string {
  return printable(text.slice(0, length))
}
