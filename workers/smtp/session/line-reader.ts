import { EventEmitter } from 'node:events'
import { longestLine } from '../commands/command.ts'

/**
 * What smtp-server pipes a socket into, in place of its own parser: takes octets, gives command lines and message octets.
 * It has the part of a writable stream that `pipe` needs, so back-pressure works, and none of the cost.
 */

/** Who reads. Each call may stop the intake (an answer has to be waited for); what came after it then waits. */
export type LineConsumer = {
  /** One command line without its CRLF. */
  line(text: string): void
  /** A line that is no command line: nothing of it is interpreted. */
  badLine(fault: LineFault, text?: string): void
  /** Octets of a message. @returns how many were used when the message ended in them, -1 when it goes on */
  body(chunk: Buffer): number
  /** Everything that has come is dealt with, or waits: a good moment to send replies together. */
  pause(): void
  /** The client has sent its last octet. */
  ended(): void
}

export type LineFault = 'too-long' | 'bare-line-feed' | 'nul-octet' | 'not-utf8'

/** More than this waiting for an answer stops the socket. */
const waitingLimit = 65_536

export class LineReader extends EventEmitter {
  /** Set by smtp-server when the session ends or moves to TLS: nothing more is dispatched, what waits is dropped. */
  isClosed = false
  /** Message octets are expected, not lines. */
  inBody = false
  readonly #reader: LineConsumer
  #held = false
  #busy = false
  #asked = false
  #waiting: Buffer[] = []
  #waitingOctets = 0
  /** The beginning of a line whose end has not come. */
  #partial: Buffer[] = []
  #partialOctets = 0
  #skipping = false

  constructor(reader: LineConsumer) {
    super()
    this.#reader = reader
  }

  /** @returns false to stop the source until 'drain' */
  write(chunk: Buffer): boolean {
    if (this.isClosed) return true
    if (this.#held || this.#busy) {
      this.#waiting.push(chunk)
      this.#waitingOctets += chunk.length
    } else this.#work(chunk)
    return this.#room()
  }

  /** The first octets that nobody has dealt with. */
  get unread(): Buffer | undefined {
    return this.#waiting[0]
  }

  end(): void {
    if (!this.isClosed) this.#reader.ended()
  }

  /** Nothing is dispatched until `release`. */
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
    this.#waitingOctets = 0
    this.#work(rest)
    if (this.#room()) this.#drain()
  }

  #room(): boolean {
    if (this.#waitingOctets < waitingLimit) return true
    this.#asked = true
    return false
  }

  #drain(): void {
    if (!this.#asked) return
    this.#asked = false
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
      this.#waitingOctets += chunk.length - at
    }
    this.#reader.pause()
  }

  #body(chunk: Buffer, at: number): number {
    const used = this.#reader.body(at === 0 ? chunk : chunk.subarray(at))
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
      this.#reader.badLine('too-long')
    } else if (this.#partialOctets > 0) this.#whole(chunk.subarray(at, lf + 1))
    else this.#take(chunk, at, lf)
    return lf + 1
  }

  #keep(piece: Buffer): void {
    if (this.#skipping) return
    this.#partialOctets += piece.length
    // A client that sends octet by octet must not cost a buffer for each.
    if (this.#partial.length >= 64) this.#partial = [Buffer.concat(this.#partial)]
    this.#partial.push(piece)
    if (this.#partialOctets <= longestLine + 2) return
    this.#skipping = true
    this.#partial = []
    this.#partialOctets = 0
  }

  #whole(tail: Buffer): void {
    this.#partial.push(tail)
    const line = Buffer.concat(this.#partial)
    this.#partial = []
    this.#partialOctets = 0
    this.#take(line, 0, line.length - 1)
  }

  #take(chunk: Buffer, from: number, lf: number): void {
    if (lf - from > longestLine + 1) {
      this.#reader.badLine('too-long')
      return
    }
    const text = chunk.toString('latin1', from, lf)
    if (!text.endsWith('\r') || text.indexOf('\r') !== text.length - 1) {
      this.#reader.badLine('bare-line-feed', text)
      return
    }
    if (text.includes('\0')) {
      this.#reader.badLine('nul-octet', text)
      return
    }
    const line = text.slice(0, -1)
    if (!beyondAscii.test(line)) {
      this.#reader.line(line)
      return
    }
    const decoded = utf8(chunk.subarray(from, lf - 1))
    decoded === null ? this.#reader.badLine('not-utf8') : this.#reader.line(decoded)
    return
  }
}

const empty = Buffer.alloc(0)
const beyondAscii = /[^\x00-\x7f]/
const decoder = new TextDecoder('utf-8', { fatal: true })

function utf8(octets: Buffer): string | null {
  try {
    return decoder.decode(octets)
  } catch {
    return null
  }
}
