import { isAscii } from 'node:buffer'
import type { Envelope } from '@postern/contract/envelope.ts'
import { type MessageWriter, SpoolFailure, type SpoolWriter, type Stored } from '@postern/spool/spool.ts'
import { BlindCopies } from './blind-copies.ts'
import { BodyScanner } from './body-scanner.ts'
import { type Header, readHeader } from './header.ts'
import { SmugglingDetector } from './smuggling-detector.ts'

/** Messages up to this size stay in memory until their end; longer ones are written to the spool as they arrive. */
const maxInMemory = 65_536
/** How far into a message its header is read. */
const maxHeadBytes = 65_536
/** Pieces of a message in memory; more are joined, so that a client that sends byte by byte costs no more. */
const maxPieces = 64

/** A message above the limit is read to its end for a proper answer: up to this many times the limit, and at least this many bytes. */
const readTimesLimit = 8
const minReadBytes = 64 << 20

const none = Buffer.alloc(0)

/** How many bytes are read of a message whose size limit is `limit`. */
export function maxRead(limit: number): number {
  return Math.max(limit * readTimesLimit, minReadBytes)
}

/** One message on its way from the socket to the spool. A message that is too large is read and not stored. */
export class MessageBody {
  readonly #scanner: BodyScanner
  /** Looked for after DATA only: the end of a chunk cannot be mistaken. */
  readonly #falseEnd: SmugglingDetector | undefined
  /** Submitted messages lose their Bcc; others stay as they are. */
  readonly #copies: BlindCopies | undefined
  readonly #spool: SpoolWriter
  readonly #limit: number
  #pieces: Buffer[] = []
  #bytes = 0
  #isEightBit = false
  #head: Buffer[] = []
  #headBytes = 0
  #writer: MessageWriter | undefined
  #dropped = false
  #failure: Error | undefined

  /** `limit`: bytes past which nothing is stored. `stuffed`: as after DATA, not as after BDAT. `submitted`: see `BlindCopies`. */
  constructor(
    spool: SpoolWriter,
    { limit, stuffed, submitted }: { limit: number; stuffed: boolean; submitted: boolean },
  ) {
    this.#copies = submitted ? new BlindCopies() : undefined
    this.#scanner = new BodyScanner({ stuffed })
    this.#falseEnd = stuffed ? new SmugglingDetector() : undefined
    this.#spool = spool
    this.#limit = limit
  }

  get size(): number {
    return this.#scanner.size
  }
  get bareLineFeeds(): boolean {
    return this.#scanner.bareLineFeeds
  }
  get nulOctets(): boolean {
    return this.#scanner.nulOctets
  }

  /** So far past the limit that its end is not waited for. */
  get endless(): boolean {
    return this.size > maxRead(this.#limit)
  }

  /** It is larger than the limit, cannot be stored, or holds what lines must not hold: worth a decision before its end. */
  get suspect(): boolean {
    return this.size > this.#limit || this.bareLineFeeds || this.nulOctets || this.#failure !== undefined
  }

  /** Why it cannot be stored. */
  get failure(): Error | undefined {
    return this.#failure
  }

  /** A second message was hidden in it. */
  get smuggling(): boolean {
    return this.#falseEnd?.found ?? false
  }

  header(): Header {
    const first = this.#head[0] ?? none
    const end = first.indexOf('\r\n\r\n')
    if (end !== -1) return readHeader(first.subarray(0, end + 4))
    return readHeader(Buffer.concat(this.#head), this.#headBytes < maxHeadBytes)
  }

  /** @returns bytes used when the message ended in them, else -1; and what has to be waited for before the next */
  take(chunk: Buffer): { used: number; wait?: Promise<void> | undefined } {
    const out: Buffer[] = []
    const used = this.#scanner.scan(chunk, out)
    if (this.#copies) this.#removeBcc(this.#copies, out, used !== -1)
    this.#falseEnd?.look(used === -1 ? chunk : chunk.subarray(0, used), this.bareLineFeeds || this.nulOctets)
    return { used, wait: this.#keep(out) }
  }

  /** The last chunk (RFC 3030) has come. */
  finish(): Promise<void> | undefined {
    const out: Buffer[] = []
    this.#scanner.finish(out)
    if (this.#copies) this.#removeBcc(this.#copies, out, true)
    return this.#keep(out)
  }

  #removeBcc(copies: BlindCopies, out: Buffer[], isEnd: boolean): void {
    for (const piece of out.splice(0)) out.push(...copies.take(piece))
    if (isEnd) out.push(...copies.rest())
  }

  #keep(out: readonly Buffer[]): Promise<void> | undefined {
    if (this.#dropped || this.#failure) return undefined
    if (this.#scanner.size > this.#limit) {
      this.drop()
      return undefined
    }
    for (const piece of out) {
      this.#isEightBit ||= !isAscii(piece)
      this.#bytes += piece.length
      this.#pieces.push(piece)
      if (this.#headBytes < maxHeadBytes) this.#keepHead(piece)
    }
    if (this.#bytes > maxInMemory) return this.#writeToDraft()
    if (this.#pieces.length > maxPieces) this.#pieces = [Buffer.concat(this.#pieces)]
    return undefined
  }

  #keepHead(piece: Buffer): void {
    this.#head.push(piece)
    this.#headBytes += piece.length
    if (this.#head.length > maxPieces) this.#head = [Buffer.concat(this.#head)]
  }

  #writeToDraft(): Promise<void> | undefined {
    try {
      this.#writer ??= this.#spool.begin()
      const pieces = this.#pieces
      this.#pieces = []
      this.#bytes = 0
      return this.#writer.append(pieces)?.catch((error) => this.#fail(error))
    } catch (error) {
      this.#fail(error as Error)
      return undefined
    }
  }

  #fail(error: Error): void {
    this.#failure = error
    this.drop()
  }

  /** Stores what was taken; 8-bit text that the client did not declare is declared (RFC 6152). Rejects with SpoolFull or SpoolFailure. */
  async store(envelope: Envelope, prefix: Buffer): Promise<Stored> {
    if (this.#failure) throw this.#failure
    if (this.#dropped) throw new SpoolFailure('the message was dropped')
    const body = this.#pieces
    this.#pieces = []
    this.#head = []
    if (this.#isEightBit) envelope = { ...envelope, body: '8bitmime' }
    if (!this.#writer) return this.#spool.write({ envelope, prefix, body })
    const writer = this.#writer
    if (body.length > 0) await writer.append(body)
    return writer.commit(envelope, prefix)
  }

  /** The message as it will be stored, once its end has come. It may be read several times. */
  async *read(): AsyncGenerator<Buffer> {
    if (this.#failure) throw this.#failure
    if (this.#dropped) throw new SpoolFailure('the message was dropped')
    if (this.#writer) yield* this.#writer.read()
    yield* this.#pieces
  }

  /** Forgets what was taken. */
  drop(): void {
    this.#dropped = true
    this.#pieces = []
    this.#bytes = 0
    this.#head = []
    this.#writer?.abort()
    this.#writer = undefined
  }
}
