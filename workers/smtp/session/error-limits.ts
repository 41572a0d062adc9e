import type { FaultFacts, SessionFacts } from '@postern/contract/facts.ts'
import type { HackAttempt, OffenceKind } from '@postern/contract/offences.ts'
import { replies } from '@postern/contract/replies.ts'
import type { FaultVerdict, Verdict } from '@postern/contract/verdict.ts'
import { decideFault } from '@postern/policy/decide.ts'
import { cut } from '../record/event-fields.ts'
import type { SessionFactsRecorder } from '../record/session-facts.ts'
import type { About, SessionLog } from '../record/session-log.ts'
import type { ReceiverContext } from './context.ts'

/**
 * The error limits of one session: counts the client's errors, recognises what no mail client does, reports it, and asks the
 * policy whether the session goes on, and how slowly. A session without errors costs nothing here.
 */

/** Commands that send no mail; too many of them within a short time are a flood. */
const idleVerbs: ReadonlySet<string> = new Set(['NOOP', 'RSET', 'HELO', 'EHLO', 'VRFY', 'EXPN', 'HELP'])
const maxIdleCommands = 200
const idleWithinMs = 10_000
/** Control characters in lines that are no commands. A slip of the hand sends a few; a scanner sends hundreds. */
const maxControls = 8
const control = /[\x00-\x08\x0e-\x1f]/g
/** The beginning of a TLS handshake: a mail client at the wrong port, and no attack. */
const handshake = '\x16\x03'

export class ErrorLimits {
  readonly #receiver: ReceiverContext
  readonly #facts: SessionFacts
  readonly #log: SessionLog
  readonly #recorder: SessionFactsRecorder
  #errors = 0
  #invalidRecipients = 0
  #idle = 0
  #idleSince = 0
  #hasTransaction = false
  #controls = 0

  constructor(
    receiver: ReceiverContext,
    facts: SessionFacts,
    { log, recorder }: { log: SessionLog; recorder: SessionFactsRecorder },
  ) {
    this.#receiver = receiver
    this.#facts = facts
    this.#log = log
    this.#recorder = recorder
  }

  /** How long each reply waits; a change of the setting counts at once. */
  get delaySeconds(): number {
    const { softErrorLimit, softErrorDelaySeconds } = this.#receiver.policy.settings.dictionary
    if (softErrorLimit === 0 || softErrorDelaySeconds === 0 || this.#errors <= softErrorLimit) return 0
    return decideFault(this.#faultFacts(), this.#receiver.policy).delaySeconds
  }

  /** A command was refused. @returns the verdict that ends the session, if any */
  refused({ outcome, rule, reason }: Verdict, { recipient, login, mechanism }: About): FaultVerdict | undefined {
    if (outcome.kind !== 'refuse' || replies[outcome.reply].code < 500) return undefined
    this.#errors++
    if (rule === 'auth-credentials' && reason === 'auth-failed')
      this.#note('failed-login', `failed login as "${login ?? ''}" by ${mechanism ?? 'AUTH'}`)
    // Whether the directory or the routed host says so. VRFY tells as much about recipients as RCPT does.
    if (reason === 'user-unknown') {
      this.#invalidRecipients++
      this.#note('invalid-recipient', `unknown recipient <${recipient ?? ''}>`)
    }
    return this.#judge()
  }

  /** The client broke the protocol; `line`: what it sent, where that is no command. One decision, however much is wrong with it. */
  protocolError(line = ''): FaultVerdict | undefined {
    this.#errors++
    if (!this.#isBinary(line)) return this.#judge()
    return this.hackAttempt('binary-noise', `${maxControls} control characters and more in place of commands`)
  }

  /** @returns the verdict that ends the session, if the client does nothing but this */
  command(verb: string): FaultVerdict | undefined {
    if (!idleVerbs.has(verb)) {
      if (verb === 'DATA' || verb === 'BDAT') this.#idle = 0
      if (verb === 'MAIL') this.#hasTransaction = true
      return undefined
    }
    // Monitors and callouts end a transaction with RSET: that is no idle command.
    if (verb === 'RSET' && this.#hasTransaction) {
      this.#hasTransaction = false
      return undefined
    }
    if (this.#idle++ === 0) this.#idleSince = performance.now()
    if (this.#idle <= maxIdleCommands) return undefined
    this.#idle = 0
    if (performance.now() - this.#idleSince > idleWithinMs) return undefined
    return this.hackAttempt(
      'command-flood',
      `${maxIdleCommands} commands within ${idleWithinMs / 1000} s that send no mail`,
    )
  }

  #isBinary(line: string): boolean {
    if (line.startsWith(handshake)) this.#controls = Number.NEGATIVE_INFINITY
    this.#controls += line.match(control)?.length ?? 0
    if (this.#controls < maxControls) return false
    this.#controls = 0
    return true
  }

  /** What no mail client does. `evidence` is for the administrator. */
  hackAttempt(attempt: HackAttempt, evidence: string): FaultVerdict | undefined {
    return this.#judge(attempt, evidence)
  }

  #judge(attempt?: HackAttempt, evidence?: string): FaultVerdict | undefined {
    const { policy } = this.#receiver
    const { softErrorLimit, hardErrorLimit, maxInvalidRecipients, windowMinutes } = policy.settings.dictionary
    // Recorded without a limit too: a replay asks what a new limit would have done.
    const facts = this.#faultFacts(attempt)
    this.#recorder.fault(facts)
    if (!attempt && softErrorLimit === 0 && hardErrorLimit === 0 && maxInvalidRecipients === 0) return undefined
    const verdict = decideFault(facts, policy)
    this.#log.watched(verdict)
    if (verdict.outcome.kind !== 'refuse') return undefined
    if (verdict.rule === 'hack-attempt') this.#note('hack-attempt', `${attempt}: ${evidence ?? ''}`)
    // Over several sessions unknown recipients are counted one by one.
    if (verdict.rule === 'hard-error-limit' || (verdict.rule === 'invalid-recipients' && windowMinutes === 0))
      this.#note('error-limit', verdict.explanation[0] ?? verdict.rule)
    return verdict
  }

  #faultFacts(attempt?: HackAttempt): FaultFacts {
    this.#facts.now = Date.now()
    const counts = { errors: this.#errors, invalidRecipients: this.#invalidRecipients }
    return { ...this.#facts, ...counts, ...(attempt && { attempt }) }
  }

  #note(kind: OffenceKind, sentence: string): void {
    const { id, offences } = this.#receiver
    offences.note(kind, this.#facts.ip, `${id}: ${cut(sentence, 250)}`)
  }
}
