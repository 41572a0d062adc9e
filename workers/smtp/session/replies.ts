import type { SessionFacts } from '@postern/contract/facts.ts'
import type { ReplyName } from '@postern/contract/replies.ts'
import type { Reason, ReplyValues, Verdict } from '@postern/contract/verdict.ts'
import { clientRecord, printable, verdictRecord } from '../record/event-fields.ts'
import type { About, Fault, ReceiverContext } from './context.ts'
import { wireLines, wireReply } from './reply-text.ts'

/** Protocol errors of one session that become events; the rest is counted. */
const faultsTold = 10
/** Protocol errors in a row after which a client is not one of mail. */
const faultsBorne = 50

/** What one session says: replies of the catalogue, collected until they are written together, and the events about refusals. */
export class Replies {
  readonly #receiver: ReceiverContext
  readonly #facts: SessionFacts
  #text = ''
  /** The last reply, sent or not. */
  #last = ''
  /** Protocol errors so far. */
  faults = 0
  #inRow = 0

  constructor(receiver: ReceiverContext, facts: SessionFacts) {
    this.#receiver = receiver
    this.#facts = facts
  }

  get waiting(): boolean {
    return this.#text !== ''
  }

  /** What is to be written now. */
  take(): string {
    const text = this.#text
    this.#text = ''
    return text
  }

  /** The client was told that the connection ends: 221, or 421 (RFC 5321 §3.8). */
  get hasSaidGoodbye(): boolean {
    return this.#last.startsWith('421') || this.#last.startsWith('221')
  }

  write(text: string): void {
    this.#last = text
    this.#text += text
  }

  reply(name: ReplyName, values?: ReplyValues): void {
    this.write(wireReply(name, values))
  }

  /** @returns whether mail proceeds, and otherwise whether the session ends */
  settle(verdict: Verdict, about: About): 'proceed' | 'answered' | 'end' {
    const { outcome } = verdict
    if (outcome.kind === 'proceed') return 'proceed'
    if (outcome.kind === 'answer') {
      this.write(wireLines(outcome.replies))
      return 'answered'
    }
    const reply = wireReply(outcome.reply, outcome.values)
    this.write(reply)
    this.#record(verdict, reply, about)
    return outcome.close ? 'end' : 'answered'
  }

  #record(verdict: Verdict, reply: string, { sender, recipient, login, mechanism }: About): void {
    const { record, counters } = this.#receiver
    const refused = { client: clientRecord(this.#facts), verdict: verdictRecord(verdict, reply) }
    if (verdict.stage === 'connect') {
      counters.sessions_refused_total++
      record('session.refused', refused)
      return
    }
    if (verdict.stage === 'auth' && verdict.rule === 'auth-credentials') {
      counters.auth_failed_total++
      record('auth.failed', { ...refused, login: printable(login ?? ''), mechanism: mechanism ?? '' })
      return
    }
    counters.commands_refused_total++
    record('command.refused', {
      ...refused,
      ...(sender === undefined ? {} : { sender: printable(sender) }),
      ...(recipient === undefined ? {} : { recipient: printable(recipient) }),
    })
  }

  /** @returns whether the client has broken the protocol too often to be one of mail */
  fault(name: ReplyName, { values, reason = 'protocol-error', detail }: Fault): boolean {
    const reply = wireReply(name, values)
    this.write(reply)
    this.#receiver.counters.protocol_errors_total++
    this.#inRow++
    if (this.faults++ < faultsTold) this.tell(reason, detail, reply)
    return this.#inRow >= faultsBorne
  }

  /** A command was understood. */
  understood(): void {
    this.#inRow = 0
  }

  tell(reason: Reason, detail: string, reply: string): void {
    this.#receiver.record('session.error', {
      client: clientRecord(this.#facts),
      reason,
      detail: printable(detail),
      reply: printable(reply.trimEnd()),
    })
  }
}
