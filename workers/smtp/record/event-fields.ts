import type { Envelope } from '@postern/contract/envelope.ts'
import type { EventFields, VerdictRecord } from '@postern/contract/events.ts'
import type { SessionFacts } from '@postern/contract/facts.ts'
import type { Verdict } from '@postern/contract/verdict.ts'

/** How sessions, messages and verdicts appear in events: printable, and never a secret. The recorder cuts them to the contract's lengths. */

export type ClientRecord = NonNullable<EventFields<'message.accepted'>['client']>

export function clientRecord({
  ip,
  helo,
  login,
  tls,
}: Pick<SessionFacts, 'ip' | 'helo' | 'login' | 'tls'>): ClientRecord {
  const client: ClientRecord = { ip }
  if (helo) client.helo = helo
  if (login !== undefined) client.login = login
  if (tls) client.tls = `${tls.version} ${tls.cipher}`
  return client
}

type AcceptedMessage = {
  /** Bytes, without what we put before it. */
  size: number
  rules: string[]
}

/** `message.accepted`, whether the message came over SMTP or the API or is read back from the spool after a crash. */
export function acceptedRecord(
  { id, origin, client, sender, recipients, subject, revision, hold }: Envelope,
  { size, rules }: AcceptedMessage,
): EventFields<'message.accepted'> {
  return {
    messageId: id,
    origin,
    client: clientRecord(client),
    sender,
    recipients: recipients.map(({ address, original }) => ({ address, original: printable(original) })),
    size,
    ...(subject === undefined ? {} : { subject }),
    revision,
    rules,
    ...(hold === undefined ? {} : { held: printable(hold) }),
  }
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
