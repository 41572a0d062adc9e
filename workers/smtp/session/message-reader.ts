import type { Policy } from '@postern/policy/policy.ts'
import { acceptMessage, type MessageOutcome, maxKeptBytes, newBody, refusalSoFar } from '../message/accept.ts'
import { type MessageBody, maxRead } from '../message/body.ts'
import { Chunk, type MessageInput } from '../message/message-input.ts'
import type { Transaction } from '../message/transaction.ts'
import type { SessionView } from './view.ts'

/** A message must bring this many bytes within the data time-out, or it counts as silence. */
const progressBytes = 512

/** The messages of a session, one after another, after DATA or in chunks: from their first byte to their answer. */
export class MessageReader {
  readonly #session: SessionView
  #body: MessageBody | undefined
  /** Where the bytes of a message go. */
  #input: MessageInput | undefined
  #ended: ((wait?: Promise<void>) => void) | undefined
  /** Bytes when the data time-out began anew. */
  #progress = 0

  constructor(session: SessionView) {
    this.#session = session
  }

  /** A message has begun and has no answer yet. */
  get isUnanswered(): boolean {
    return this.#body !== undefined
  }

  readBody(): void {
    const { receiver, transaction } = this.#session
    const body = newBody(receiver, transaction as Transaction, true)
    this.#body = body
    this.#readInto(body, () => this.#session.wait(this.#finish(body)))
  }

  readChunk({ bytes, last }: { bytes: number; last: boolean }, refuse?: () => void): void {
    const session = this.#session
    const policy = session.transaction?.policy ?? session.receiver.policy
    if (bytes > maxRead(maxKeptBytes(policy))) this.#tooLarge(bytes, policy)
    else if (refuse) this.#readInto(new Chunk(bytes, undefined), refuse, bytes)
    else {
      const transaction = session.transaction as Transaction
      transaction.chunked = true
      this.#body ??= newBody(session.receiver, transaction, false)
      const body = this.#body
      const ended = (wait?: Promise<void>) =>
        last ? session.wait(this.#finishChunks(body, wait)) : this.#chunkEnded(body, { bytes, wait })
      this.#readInto(new Chunk(bytes, body), ended, bytes)
    }
  }

  #readInto(input: MessageInput, ended: (wait?: Promise<void>) => void, bytes = Number.POSITIVE_INFINITY): void {
    if (bytes === 0) {
      ended()
      return
    }
    this.#input = input
    this.#ended = ended
    this.#progress = 0
    this.#session.reader!.inBody = true
    this.#session.enter('message')
    this.#session.awaitData()
  }

  /** @returns how many bytes were used when the message ended in them, -1 when it goes on */
  take(chunk: Buffer): number {
    const input = this.#input
    // The transaction was dropped: its message is read to nowhere, and is no command.
    if (!input) return chunk.length
    const session = this.#session
    const { used, wait } = input.take(chunk)
    if (used !== -1) {
      session.reader!.inBody = false
      this.#input = undefined
      session.enter('commands')
      this.#ended?.(wait)
      session.delayReplies()
      if (!session.isWaiting && !session.isOver) session.awaitCommand()
      return used
    }
    if (input.endless) {
      this.#tooLarge(input.size, session.receiver.policy)
      return chunk.length
    }
    if (wait) session.wait(wait)
    else if (input.size - this.#progress >= progressBytes) {
      this.#progress = input.size
      session.awaitData()
    }
    return used
  }

  /** The message is so far above the limit that it is not read to its end for the sake of a polite answer. */
  #tooLarge(bytes: number, { settings }: Policy): void {
    const limit = settings.general.maxMessageBytes
    const detail = `a message of more than ${bytes} bytes, without end`
    this.#session.protocolError('messageTooLarge', { values: { limit }, reason: 'too-large', detail })
    this.#session.leave()
  }

  /** A chunk that is not the last is acknowledged, or what is wrong so far is answered now (RFC 3030 §2). */
  #chunkEnded(body: MessageBody, { bytes, wait }: { bytes: number; wait: Promise<void> | undefined }): void {
    const session = this.#session
    if (wait) {
      session.wait(wait.then(() => this.#chunkEnded(body, { bytes, wait: undefined })))
      return
    }
    if (session.isOver || body !== this.#body) return
    const { size } = body
    const transaction = session.transaction as Transaction
    const refusal = refusalSoFar(session.receiver, transaction, body)
    if (!refusal) {
      session.reply('chunkTaken', { bytes })
      return
    }
    session.refuseMessage(transaction, refusal.verdict, size)
    session.forget()
    if (refusal.close) session.leave()
  }

  async #finishChunks(body: MessageBody, wait: Promise<void> | undefined): Promise<void> {
    await wait
    await body.finish()
    if (body === this.#body) await this.#finish(body)
  }

  async #finish(body: MessageBody): Promise<void> {
    const session = this.#session
    const { receiver, facts, extended } = session
    const transaction = session.transaction as Transaction
    const outcome = await acceptMessage(
      {
        receiver,
        facts,
        extended,
        sessionRules: () => session.rules,
        decided: (known, verdict) => session.messageDecided(known, verdict),
      },
      transaction,
      body,
    )
    const closes = this.#answer(outcome, transaction, body.size)
    session.messageEnded()
    this.#body = undefined
    session.transaction = undefined
    if (closes) session.leave()
  }

  /** @returns whether the connection ends with the answer */
  #answer(outcome: MessageOutcome, transaction: Transaction, size: number): boolean {
    const session = this.#session
    if (outcome.kind === 'accepted') {
      session.reply('accepted', { id: outcome.id })
      return false
    }
    session.refuseMessage(transaction, outcome.verdict, size)
    const isAttempt = outcome.smuggling && session.hackAttempt('smuggling', 'a command after a false end of data')
    return outcome.close || isAttempt
  }

  /** Drops the message; what still comes of it is not read as commands. */
  forget(): void {
    if (this.#input) {
      this.#input = undefined
      this.#session.enter('commands')
    }
    this.#body?.drop()
    this.#body = undefined
  }
}
