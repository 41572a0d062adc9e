import type { Envelope, Recipient } from '@postern/contract/envelope.ts'
import type { MailFacts } from '@postern/contract/facts.ts'
import type { Verdict } from '@postern/contract/verdict.ts'
import type { Policy } from '@postern/policy/policy.ts'

/** What the parameters of MAIL asked for, as far as the envelope carries it. */
export type MailParameters = Pick<Envelope, 'body' | 'ret' | 'envid' | 'requireTls'>

/**
 * One mail transaction (RFC 5321 §3.3): from an accepted MAIL until its message has an answer, or RSET, HELO or the end of
 * the session. It is decided to its end under the policy that was in force at MAIL.
 */
export class Transaction {
  readonly policy: Policy
  readonly facts: MailFacts
  /** Canonical; empty for the null sender. */
  readonly sender: string
  readonly parameters: MailParameters
  /** After aliases and groups, each address once. */
  readonly recipients: Recipient[] = []
  /** RCPT commands accepted. */
  rcptAccepted = 0
  /** The message comes in chunks (RFC 3030), and at least one has come. */
  chunked = false
  /** The rule that decided each stage, and what watched rules would have done. */
  readonly rules: string[] = []
  #seen: Set<string> | undefined

  constructor(
    policy: Policy,
    facts: MailFacts,
    { verdict, parameters }: { verdict: Verdict; parameters: MailParameters },
  ) {
    this.policy = policy
    this.facts = facts
    this.sender = facts.sender === null || facts.sender === 'null-sender' ? '' : facts.sender.text
    this.parameters = parameters
    this.passed(verdict)
  }

  add(recipients: readonly Recipient[]): void {
    this.rcptAccepted++
    for (const recipient of recipients) {
      const key = recipient.via === undefined ? recipient.address : `${recipient.address} ${recipient.via}`
      if (this.#isKnown(key)) continue
      this.recipients.push(recipient)
    }
  }

  #isKnown(key: string): boolean {
    this.#seen ??= new Set()
    if (this.#seen.has(key)) return true
    this.#seen.add(key)
    return false
  }

  /** Notes which rule let a stage pass; once, however many recipients passed by the same rule. */
  passed({ stage, rule, trail }: Verdict): void {
    this.#note(`${stage}: ${rule}`)
    for (const note of watchedRules({ stage, trail })) this.#note(note)
    // What was done with an accepted message, and which look-up about it gave no answer.
    if (stage !== 'data') return
    for (const { rule: by, said, because } of trail)
      if (because !== undefined && (said === 'passed' || said === 'not-known'))
        this.#note(`${stage}: ${by}: ${because}`)
  }

  #note(text: string): void {
    const note = text.slice(0, 300)
    if (this.rules.length < 100 && !this.rules.includes(note)) this.rules.push(note)
  }
}

const none: readonly string[] = []

/** What watched and marking rules of a verdict would have done. */
export function watchedRules({ stage, trail }: Pick<Verdict, 'stage' | 'trail'>): readonly string[] {
  if (!trail.some(({ said }) => said === 'watched')) return none
  return trail.flatMap(({ rule, said, because = '' }) =>
    said === 'watched' ? [`${stage}: ${rule} (watched) ${because}`.slice(0, 300)] : [],
  )
}
