import type { ReplyName } from '@postern/contract/replies.ts'
import { wireLines, wireReply } from '@postern/contract/reply-text.ts'
import type { ReplyValues, Verdict } from '@postern/contract/verdict.ts'
import type { ProtocolError } from '../commands/command.ts'
import type { About, SessionLog } from '../record/session-log.ts'

/** Protocol errors in a row after which a client is not a mail client. */
const maxErrorsInRow = 50

/** The replies of one session: from the catalogue, collected until they are written together, and recorded where they refuse. */
export class Replies {
  readonly #log: SessionLog
  #text = ''
  /** The last reply, sent or not. */
  #last = ''
  /** Protocol errors so far. */
  errors = 0
  #errorsInRow = 0

  constructor(log: SessionLog) {
    this.#log = log
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
  get saidGoodbye(): boolean {
    return this.#last.startsWith('421') || this.#last.startsWith('221')
  }

  write(text: string): void {
    this.#last = text
    this.#text += text
  }

  /** @returns the reply as it is sent */
  reply(name: ReplyName, values?: ReplyValues): string {
    const text = wireReply(name, values)
    this.write(text)
    return text
  }

  /** @returns whether mail proceeds, and otherwise whether the session ends */
  settle(verdict: Verdict, about: About): 'proceed' | 'answered' | 'end' {
    const { outcome } = verdict
    if (outcome.kind === 'proceed') return 'proceed'
    if (outcome.kind === 'answer') {
      this.write(wireLines(outcome.replies))
      return 'answered'
    }
    this.#log.refused(verdict, this.reply(outcome.reply, outcome.values), about)
    return outcome.close ? 'end' : 'answered'
  }

  /** @returns whether the client has broken the protocol too often to be a mail client */
  protocolError(name: ReplyName, { values, reason = 'protocol-error', detail }: ProtocolError): boolean {
    this.#log.protocolError(reason, detail, this.reply(name, values))
    this.errors++
    this.#errorsInRow++
    return this.#errorsInRow >= maxErrorsInRow
  }

  /** A command was understood. */
  understood(): void {
    this.#errorsInRow = 0
  }
}
