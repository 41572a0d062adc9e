/**
 * Takes a message in pieces and tells of its lines: headers as a whole, delimiters, and the text between in pieces of any
 * length. The CRLF before a delimiter belongs to it (RFC 2046 §5.1.1), so the end of a line is told when the next is known.
 */
export type LineEvents = {
  /** Lines are the header's now. */
  collects(): boolean
  /** The place of the multipart whose delimiter this is; -1: it is none. */
  delimiter(line: string): number
  /** Fields, each with its CRLF, latin1. `hasBody`: an empty line followed. */
  header(text: string, hasBody: boolean): void
  /** Some bytes of a line, and how long it is up to here. */
  text(bytes: Buffer, length: number): void
  lineEnd(): void
  /** `after`: the CRLF before it is still to be given. */
  delimited(line: string, after: boolean): void
}

const lineFeed = 10
const carriageReturn = 13
const hyphen = 45
const nothing = Buffer.alloc(0)
/** No delimiter is longer. */
const longestDelimiter = 400
/** A header that is longer ends there: what follows is its body. */
const maxHeader = 1 << 20

export class MimeLines {
  readonly #events: LineEvents
  /** The beginning of a line of which more is to come. */
  #rest: Buffer = nothing
  /** The beginning of this line was told of: bytes. */
  #reported = 0
  /** The end of the line before was not told of yet. */
  #held = false
  #header: Buffer[] = []
  #headerBytes = 0

  constructor(events: LineEvents) {
    this.#events = events
  }

  push(piece: Buffer): void {
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, piece]) : piece
    this.#rest = nothing
    let from = 0
    for (let lf = bytes.indexOf(lineFeed); lf !== -1; lf = bytes.indexOf(lineFeed, lf + 1)) {
      // Only CRLF ends a line.
      if (lf === from || bytes[lf - 1] !== carriageReturn) continue
      this.#line(bytes.subarray(from, lf - 1))
      from = lf + 1
    }
    this.#keep(bytes.subarray(from))
  }

  /** What is too long for a delimiter need not wait for its end; a CR at its end must. */
  #keep(rest: Buffer): void {
    const limit = this.#events.collects() ? maxHeader : longestDelimiter
    if (this.#reported === 0 && rest.length <= limit) {
      this.#rest = Buffer.from(rest)
      return
    }
    const end = rest.at(-1) === carriageReturn ? rest.length - 1 : rest.length
    this.#some(rest.subarray(0, end))
    this.#rest = Buffer.from(rest.subarray(end))
  }

  #some(bytes: Buffer): void {
    if (bytes.length === 0) return
    this.#endHeader(false)
    if (this.#reported === 0) this.#reportEnd()
    this.#reported += bytes.length
    this.#events.text(bytes, this.#reported)
  }

  #line(bytes: Buffer): void {
    if (this.#reported === 0 && this.#isSpecial(bytes)) return
    this.#some(bytes)
    if (this.#reported === 0) this.#reportEnd()
    this.#reported = 0
    this.#held = true
  }

  #isSpecial(bytes: Buffer): boolean {
    if (bytes[0] === hyphen && bytes[1] === hyphen && bytes.length <= longestDelimiter) {
      const line = bytes.toString('latin1')
      if (this.#events.delimiter(line) !== -1) {
        this.#delimiter(line)
        return true
      }
    }
    if (!this.#events.collects()) return false
    if (bytes.length === 0) this.#endHeader(true)
    else {
      this.#header.push(Buffer.from(bytes))
      this.#headerBytes += bytes.length + 2
      if (this.#headerBytes > maxHeader) this.#endHeader(false)
    }
    return true
  }

  #delimiter(line: string): void {
    if (this.#events.collects()) this.#endHeader(false)
    this.#events.delimited(line, this.#held)
    this.#held = true
  }

  #endHeader(hasBody: boolean): void {
    if (!this.#events.collects()) return
    this.#reportEnd()
    const text = this.#header.map((line) => `${line.toString('latin1')}\r\n`).join('')
    this.#header = []
    this.#headerBytes = 0
    this.#events.header(text, hasBody)
  }

  #reportEnd(): void {
    if (this.#held) this.#events.lineEnd()
    this.#held = false
  }

  end(): void {
    const rest = this.#rest
    this.#rest = nothing
    if (rest.length > 0) {
      if (this.#reported > 0 || !this.#isSpecial(rest)) this.#some(rest)
      // It came without the end of its line, and goes without.
      this.#held = false
    }
    this.#endHeader(false)
    this.#reportEnd()
  }
}
