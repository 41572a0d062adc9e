import { EventEmitter } from 'node:events'
import { longestLine } from '../commands/command.ts'

/**
 * Takes the place of smtp-server's parser: reads bytes from the socket, and hands on command lines and message bytes.
 * It implements only what `pipe` needs of a writable stream: back-pressure works, without the cost of a stream.
 */

/** Who gets the lines. Each call may call `hold`, to wait for an answer; what came after it waits too. */
export type LineConsumer = {
  /** One command line without its CRLF. */
  line(text: string): void
  /** A line that is no valid command line: nothing of it is interpreted. */
  badLine(fault: LineFault, text?: string): void
  /** Bytes of a message. @returns how many were used when the message ended in them, -1 when it goes on */
  body(chunk: Buffer): number
  /** Everything that has come was handed on, or waits: the moment to send replies together. */
  pause(): void
  /** The client has ended its side of the connection. */
  ended(): void
}

export type LineFault = 'too-long' | 'bare-line-feed' | 'nul-octet' | 'not-utf8'

/** Bytes that may wait before the socket is paused. */
const maxWaiting = 65_536

export class LineReader extends EventEmitter {
  /** Set by smtp-server when the session ends or moves to TLS: nothing more is handed on, and what waits is dropped. */
  isClosed = false
  /** Message bytes are expected, not lines. */
  inBody = false
  readonly #consumer: LineConsumer
  #held = false
  #busy = false
  #needsDrain = false
  #waiting: Buffer[] = []
  #waitingBytes = 0
  /** The beginning of an unfinished line. */
  #partial: Buffer[] = []
  #partialBytes = 0
  #skipping = false

  constructor(consumer: LineConsumer) {
    super()
    this.#consumer = consumer
  }

  /** @returns false to stop the source until 'drain' */
  write(chunk: Buffer): boolean {
    if (this.isClosed) return true
    if (this.#held || this.#busy) {
      this.#waiting.push(chunk)
      this.#waitingBytes += chunk.length
    } else this.#work(chunk)
    return this.#room()
  }

  /** The first bytes that wait. */
  get unread(): Buffer | undefined {
    return this.#waiting[0]
  }

  end(): void {
    if (!this.isClosed) this.#consumer.ended()
  }

  /** Nothing is handed on until `release`. */
  hold(): void {
    this.#held = true
  }

  release(): void {
    if (!this.#held) return
    this.#held = false
    if (this.#busy || this.isClosed) return
    const waiting = this.#waiting
    const rest = waiting.length > 1 ? Buffer.concat(waiting) : (waiting[0] ?? empty)
    this.#waiting = []
    this.#waitingBytes = 0
    this.#work(rest)
    if (this.#room()) this.#drain()
  }

  #room(): boolean {
    if (this.#waitingBytes < maxWaiting) return true
    this.#needsDrain = true
    return false
  }

  #drain(): void {
    if (!this.#needsDrain) return
    this.#needsDrain = false
    this.emit('drain')
  }

  #work(chunk: Buffer): void {
    this.#busy = true
    let at = 0
    while (at < chunk.length && !this.#held && !this.isClosed)
      at = this.inBody ? this.#body(chunk, at) : this.#line(chunk, at)
    this.#busy = false
    if (this.isClosed) return
    if (at < chunk.length) {
      this.#waiting.unshift(chunk.subarray(at))
      this.#waitingBytes += chunk.length - at
    }
    this.#consumer.pause()
  }

  #body(chunk: Buffer, at: number): number {
    const used = this.#consumer.body(at === 0 ? chunk : chunk.subarray(at))
    return used === -1 ? chunk.length : at + used
  }

  /** RFC 5321 §2.3.8: a line ends in CRLF; CR and LF mean nothing else. */
  #line(chunk: Buffer, at: number): number {
    const lf = chunk.indexOf(10, at)
    if (lf === -1) {
      this.#keep(chunk.subarray(at))
      return chunk.length
    }
    if (this.#skipping) {
      this.#skipping = false
      this.#consumer.badLine('too-long')
    } else if (this.#partialBytes > 0) this.#whole(chunk.subarray(at, lf + 1))
    else this.#take(chunk, at, lf)
    return lf + 1
  }

  #keep(piece: Buffer): void {
    if (this.#skipping) return
    this.#partialBytes += piece.length
    // A client that sends byte by byte must not cost a buffer for each.
    if (this.#partial.length >= 64) this.#partial = [Buffer.concat(this.#partial)]
    this.#partial.push(piece)
    if (this.#partialBytes <= longestLine + 2) return
    this.#skipping = true
    this.#partial = []
    this.#partialBytes = 0
  }

  #whole(tail: Buffer): void {
    this.#partial.push(tail)
    const line = Buffer.concat(this.#partial)
    this.#partial = []
    this.#partialBytes = 0
    this.#take(line, 0, line.length - 1)
  }

  #take(chunk: Buffer, from: number, lf: number): void {
    if (lf - from > longestLine + 1) {
      this.#consumer.badLine('too-long')
      return
    }
    const text = chunk.toString('latin1', from, lf)
    if (!text.endsWith('\r') || text.indexOf('\r') !== text.length - 1) {
      this.#consumer.badLine('bare-line-feed', text)
      return
    }
    if (text.includes('\0')) {
      this.#consumer.badLine('nul-octet', text)
      return
    }
    const line = text.slice(0, -1)
    if (!beyondAscii.test(line)) {
      this.#consumer.line(line)
      return
    }
    const decoded = utf8(chunk.subarray(from, lf - 1))
    decoded === null ? this.#consumer.badLine('not-utf8') : this.#consumer.line(decoded)
    return
  }
}

const empty = Buffer.alloc(0)
const beyondAscii = /[^\x00-\x7f]/
const decoder = new TextDecoder('utf-8', { fatal: true })

function utf8(bytes: Buffer): string | null {
  try {
    return decoder.decode(bytes)
  } catch {
    return null
  }
}
