import { randomBytes } from 'node:crypto'
import { maskClientLine, maskServerLine } from '@postern/runtime/logging/mask.ts'
import type { RecordEvent, Worker } from '@postern/runtime/worker.ts'
import type { Peer } from './peer.ts'
import type { Reply } from './reply.ts'

/**
 * What the level debug of the log adds: both sides of one connection to the next host, line by line. Neither a message's body
 * nor what answers a challenge of AUTH ever comes here. Costs one question a command while nobody listens.
 */
export class DialogueLog {
  readonly #peer: Peer
  readonly #record: RecordEvent
  readonly #wants: Worker['wants']
  #session = ''

  constructor(peer: Peer, { record, wants }: { record: RecordEvent; wants: Worker['wants'] }) {
    this.#peer = peer
    this.#record = record
    this.#wants = wants
  }

  get isOpen(): boolean {
    return this.#wants('outbound.dialogue')
  }

  /** Command lines, without their ends. `within`: they answer a challenge. */
  sent(lines: readonly string[], within = false): void {
    if (!this.isOpen) return
    for (const line of lines) this.#tell('client', maskClientLine(line, { within, known: true }))
  }

  sentMessage(bytes: number): void {
    if (this.isOpen) this.#tell('client', `(a message of ${bytes} bytes)`)
  }

  received({ code, lines }: Reply): void {
    if (!this.isOpen) return
    const last = lines.length - 1
    for (const [i, line] of lines.entries())
      this.#tell('server', maskServerLine(`${code}${i < last ? '-' : ' '}${line}`))
  }

  #tell(from: 'client' | 'server', text: string): void {
    this.#session ||= randomBytes(8).toString('hex')
    const { host, address, port } = this.#peer
    const remote = { host, address, port }
    this.#record('outbound.dialogue', { remote, session: this.#session, from, text })
  }
}

/** A reply that repeats what it must not: a remote may quote the login in its refusal. */
export function withoutSecret(reply: Reply, secrets: readonly string[]): Reply {
  const lines = reply.lines.map((line) => secrets.reduce((text, secret) => text.replaceAll(secret, '***'), line))
  return { ...reply, lines }
}
