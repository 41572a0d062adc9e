import type { Policy } from '@postern/policy/policy.ts'
import type { SessionContext } from '../session/context.ts'
import type { LineReader } from '../session/line-reader.ts'
import type { Timeouts } from '../session/timeouts.ts'
import type { Transaction } from '../session/transaction.ts'
import { acceptMessage, judgeSoFar, newBody, octetsKept } from './accept.ts'
import { type MessageBody, maxRead } from './body.ts'
import { Chunk, type Inflow } from './chunk.ts'

/** The session, as the messages in it see it. */
export type DataSession = SessionContext & {
  readonly pace: Timeouts
  readonly intake: LineReader | undefined
  readonly isOver: boolean
  /** A message has its answer. */
  countMessage(): void
  /** The client has the time of a command, or of a handshake. */
  awaitCommand(): void
}

/** A message must bring so many octets within the data time-out, or it counts as silence. */
const progressOctets = 512

/** The messages of a session on their way in, one after another, after DATA or in chunks: from their first octet to their answer. */
export class MessageData {
  readonly #session: DataSession
  #body: MessageBody | undefined
  /** Where message octets go while they come. */
  #inflow: Inflow | undefined
  #ended: ((wait?: Promise<void>) => void) | undefined
  /** Octets at the last sign of life. */
  #progress = 0

  constructor(session: DataSession) {
    this.#session = session
  }

  /** Octets of a message are expected now. */
  get flows(): boolean {
    return this.#inflow !== undefined
  }

  /** A message has begun and has no answer yet. */
  get isUnanswered(): boolean {
    return this.#body !== undefined
  }

  readBody(): void {
    const { receiver, transaction } = this.#session
    const body = newBody(receiver, transaction as Transaction, true)
    this.#body = body
    this.#flowInto(body, () => this.#session.wait(this.#finish(body)))
  }

  readChunk({ octets, last }: { octets: number; last: boolean }, refuse?: () => void): void {
    const session = this.#session
    const policy = session.transaction?.policy ?? session.receiver.policy
    if (octets > maxRead(octetsKept(policy))) this.#tooMuch(octets, policy)
    else if (refuse) this.#flowInto(new Chunk(octets, undefined), refuse, octets)
    else {
      const transaction = session.transaction as Transaction
      transaction.chunked = true
      this.#body ??= newBody(session.receiver, transaction, false)
      const body = this.#body
      const ended = (wait?: Promise<void>) =>
        last ? session.wait(this.#finishChunks(body, wait)) : this.#chunkTaken(body, { octets, wait })
      this.#flowInto(new Chunk(octets, body), ended, octets)
    }
  }

  #flowInto(inflow: Inflow, ended: (wait?: Promise<void>) => void, octets = Number.POSITIVE_INFINITY): void {
    if (octets === 0) {
      ended()
      return
    }
    this.#inflow = inflow
    this.#ended = ended
    this.#progress = 0
    this.#session.intake!.inBody = true
    this.#session.pace.allowData()
  }

  /** @returns how many octets were used when the message ended in them, -1 when it goes on */
  take(octets: Buffer): number {
    const inflow = this.#inflow
    // Nobody waits for it, and it is no command.
    if (!inflow) return octets.length
    const session = this.#session
    const { used, wait } = inflow.take(octets)
    if (used !== -1) {
      session.intake!.inBody = false
      this.#inflow = undefined
      this.#ended?.(wait)
      session.pace.slow()
      if (!session.pace.holds && !session.isOver) session.awaitCommand()
      return used
    }
    if (inflow.endless) {
      this.#tooMuch(inflow.size, session.receiver.policy)
      return octets.length
    }
    if (wait) session.wait(wait)
    else if (inflow.size - this.#progress >= progressOctets) {
      this.#progress = inflow.size
      session.pace.allowData()
    }
    return used
  }

  /** So far past the limit that it is not read for the sake of a polite answer. */
  #tooMuch(octets: number, { settings }: Policy): void {
    const limit = settings.general.maxMessageBytes
    const detail = `a message of more than ${octets} octets, without end`
    this.#session.fault('messageTooLarge', { values: { limit }, reason: 'too-large', detail })
    this.#session.leave()
  }

  /** A chunk that is not the last: it is acknowledged, or what is wrong so far is said now (RFC 3030 §2). */
  #chunkTaken(body: MessageBody, { octets, wait }: { octets: number; wait: Promise<void> | undefined }): void {
    const session = this.#session
    if (wait) {
      session.wait(wait.then(() => this.#chunkTaken(body, { octets, wait: undefined })))
      return
    }
    if (session.isOver || body !== this.#body) return
    const judged = judgeSoFar(session, session.transaction as Transaction, body)
    if (judged === 'on') session.reply('chunkTaken', { octets })
    else session.forget()
    if (judged === 'close') session.leave()
  }

  async #finishChunks(body: MessageBody, wait: Promise<void> | undefined): Promise<void> {
    await wait
    await body.finish()
    if (body === this.#body) await this.#finish(body)
  }

  async #finish(body: MessageBody): Promise<void> {
    const session = this.#session
    const close = await acceptMessage(session, session.transaction as Transaction, body)
    session.countMessage()
    this.#body = undefined
    session.transaction = undefined
    if (close) session.leave()
  }

  /** What came of a message is dropped, and what still comes goes nowhere. */
  forget(): void {
    this.#inflow = undefined
    this.#body?.drop()
    this.#body = undefined
  }
}
