import type { Envelope, Recipient } from '@postern/contract/envelope.ts'
import type { MailFacts } from '@postern/contract/facts.ts'
import type { Verdict } from '@postern/contract/verdict.ts'
import type { Policy } from '@postern/policy/policy.ts'

/**
 * One mail transaction (RFC 5321 §3.3): from an accepted MAIL until its message has an answer, or RSET, HELO or the end of
 * the session. It is decided to its end under the policy that was in force at MAIL.
 */
export class Transaction {
  readonly policy: Policy
  readonly facts: MailFacts
  /** Canonical; empty for the null sender. */
  readonly sender: string
  readonly promised: Pick<Envelope, 'body' | 'ret' | 'envid' | 'requireTls'>
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
    { verdict, promised }: { verdict: Verdict; promised: Transaction['promised'] },
  ) {
    this.policy = policy
    this.facts = facts
    this.sender = facts.sender === null || facts.sender === 'null-sender' ? '' : facts.sender.text
    this.promised = promised
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

  /** Remembers how a stage was passed; said once however many recipients passed alike. */
  passed({ stage, rule, trail }: Verdict): void {
    this.#note(`${stage}: ${rule}`)
    for (const said of watchedIn({ stage, trail })) this.#note(said)
    // What was done with a message that was accepted all the same, and what was to be asked about it and gave no answer.
    if (stage !== 'data') return
    for (const { rule: by, said, because } of trail)
      if (because !== undefined && (said === 'passed' || said === 'not-known'))
        this.#note(`${stage}: ${by}: ${because}`)
  }

  #note(text: string): void {
    const said = text.slice(0, 300)
    if (this.rules.length < 100 && !this.rules.includes(said)) this.rules.push(said)
  }
}

const nothing: readonly string[] = []

/** What rules said that would have decided, or had something to say, and were not to decide. */
export function watchedIn({ stage, trail }: Pick<Verdict, 'stage' | 'trail'>): readonly string[] {
  if (!trail.some(({ said }) => said === 'watched')) return nothing
  return trail.flatMap(({ rule, said, because = '' }) =>
    said === 'watched' ? [`${stage}: ${rule} (watched) ${because}`.slice(0, 300)] : [],
  )
}
