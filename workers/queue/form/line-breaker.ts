import { longestLine } from './long-lines.ts'

/**
 * No line over 998 bytes leaves: what could not be encoded (a preamble, a multipart nobody can parse, what is signed as a whole,
 * a header without white space) is broken by CRLF and a space, as Postfix does (`smtp_line_length_limit`). The space makes
 * the rest of a header line a continuation, keeps a body line from looking like a delimiter, and needs no dot stuffing.
 */

const lineFeed = 10
const carriageReturn = 13
const breakBytes = Buffer.from('\r\n ')
const nothing = Buffer.alloc(0)

export class LineBreaker {
  /** Bytes of the line that has not ended. */
  #open = 0
  /** A CR behind a line of full length: whether it ends the line is known from the next byte. */
  #held: Buffer = nothing

  /** The bytes in pieces, with what breaks their lines between them. */
  take(given: Buffer): Buffer[] {
    const bytes = this.#held.length > 0 ? Buffer.concat([this.#held, given]) : given
    this.#held = nothing
    const pieces: Buffer[] = []
    let from = 0
    for (let at = 0; at < bytes.length; ) {
      const room = longestLine - this.#open
      const window = Math.min(bytes.length, at + room + 2)
      const end = bytes.lastIndexOf(lineFeed, window - 1)
      if (end >= at) {
        at = end + 1
        this.#open = 0
      } else if (bytes.length - at <= room) {
        this.#open += bytes.length - at
        at = bytes.length
      } else if (bytes.length - at === room + 1 && bytes[bytes.length - 1] === carriageReturn) {
        this.#open = longestLine
        this.#held = bytes.subarray(bytes.length - 1)
        at = bytes.length
      } else {
        at = breakAt(bytes, at, at + room)
        pieces.push(bytes.subarray(from, at), breakBytes)
        from = at
        this.#open = 1
      }
    }
    const rest = bytes.subarray(from, bytes.length - this.#held.length)
    return pieces.length === 0 ? [rest] : [...pieces, rest]
  }

  finish(): Buffer {
    return this.#held
  }
}

/** Not within a character of UTF-8, nor behind a CR. */
function breakAt(bytes: Buffer, from: number, wanted: number): number {
  let at = wanted
  while (at > from && wanted - at < 3 && ((bytes[at] as number) & 0xc0) === 0x80) at--
  return at > from && bytes[at - 1] === carriageReturn ? at - 1 : at
}

export function withLinesBroken(message: Buffer): Buffer {
  const breaker = new LineBreaker()
  const pieces = breaker.take(message)
  return pieces.length === 1 && breaker.finish().length === 0 ? message : Buffer.concat([...pieces, breaker.finish()])
}

/** Leaving the loop closes the source. */
export async function* linesBroken(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const breaker = new LineBreaker()
  for await (const bytes of source) for (const piece of breaker.take(bytes)) if (piece.length > 0) yield piece
  const rest = breaker.finish()
  if (rest.length > 0) yield rest
}
