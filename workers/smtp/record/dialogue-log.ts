import type { SessionFacts } from '@postern/contract/facts.ts'
import { maskClientLine, maskServerLine } from '@postern/runtime/logging/mask.ts'
import { commands } from '../commands/table.ts'
import type { ReceiverContext } from '../session/context.ts'
import { clientRecord, printable } from './event-fields.ts'

/** What the levels verbose and debug of the log add: a session's beginning and end, and what both sides said. */
export class DialogueLog {
  readonly #receiver: ReceiverContext
  readonly #facts: SessionFacts
  readonly #session: string
  readonly #openedAt = Date.now()
  /** Messages that came to their end, whatever was answered. */
  messages = 0

  constructor(receiver: ReceiverContext, facts: SessionFacts, session: string) {
    this.#receiver = receiver
    this.#facts = facts
    this.#session = session
  }

  opened(): void {
    const { listener } = this.#facts
    if (this.#receiver.wants('session.opened'))
      this.#receiver.record('session.opened', { client: clientRecord(this.#facts), session: this.#session, listener })
  }

  closed(): void {
    if (!this.#receiver.wants('session.closed')) return
    const seconds = Math.round((Date.now() - this.#openedAt) / 100) / 10
    const client = clientRecord(this.#facts)
    this.#receiver.record('session.closed', { client, session: this.#session, messages: this.messages, seconds })
  }

  /** `within`: the line is an answer to a challenge. */
  heard(line: string, within: boolean): void {
    if (!this.#receiver.wants('session.dialogue')) return
    const blank = line.indexOf(' ')
    const verb = (blank === -1 ? line : line.slice(0, blank)).toUpperCase()
    this.#tell('client', maskClientLine(line, { within, known: commands.has(verb) }))
  }

  /** Replies as they are written together. */
  said(replies: string): void {
    if (!this.#receiver.wants('session.dialogue')) return
    for (const line of replies.split('\r\n')) if (line !== '') this.#tell('server', maskServerLine(line))
  }

  #tell(from: 'client' | 'server', text: string): void {
    const client = { ip: this.#facts.ip }
    this.#receiver.record('session.dialogue', { client, session: this.#session, from, text: printable(text) })
  }
}
