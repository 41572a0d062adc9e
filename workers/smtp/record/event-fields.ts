import type { EventFields, VerdictRecord } from '@postern/contract/events.ts'
import type { SessionFacts } from '@postern/contract/facts.ts'
import type { Verdict } from '@postern/contract/verdict.ts'

/** How sessions and verdicts stand in events: cut to the contract's lengths, and never a secret. */

export type ClientRecord = EventFields<'session.error'>['client']

export function clientRecord({ ip, helo, login, tls }: SessionFacts): ClientRecord {
  const client: ClientRecord = { ip }
  if (helo !== undefined) client.helo = helo
  if (login !== undefined) client.login = login.slice(0, 320)
  if (tls) client.tls = `${tls.version} ${tls.cipher}`.slice(0, 100)
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
    reply: cut(reply.trimEnd(), 600),
    explanation: explanation.slice(0, 20).map((sentence) => cut(sentence, 500)),
    trail: trail.slice(0, 40).map((step) => (step.because ? { ...step, because: cut(step.because, 300) } : step)),
  }
}

/** What a stranger sent, fit to be shown: printable, and no longer than `length`. */
export function cut(text: string, length: number): string {
  return text.slice(0, length).replace(/[\p{Cc}\u2028\u2029]/gu, '?')
}
