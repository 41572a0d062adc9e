/** The header of a message as bytes: its fields, their positions, and its end. Takes linear time for any content. */

/** One field: its lines without the last CRLF, and its byte range `[from, to)` in the message. */
export type Field = { name: string; text: string; from: number; to: number }

/** RFC 5322 §3.6.8. White space before the colon is obsolete syntax (§4.5.8) but accepted. */
const fieldStart = /^[\x21-\x39\x3b-\x7e]+[ \t]*:/
/** A field name whose colon is on the next line. */
const lonelyName = /^[\x21-\x39\x3b-\x7e]+[ \t]*$/
const lonelyColon = /^[ \t]+:/

/**
 * Splits a header (latin1, without the empty line). A line that does not begin a field belongs to the field above it,
 * because mailauth reads the fields that signatures cover in the same way. `at`: the start of the header in the
 * message.
 */
export function fieldsOf(header: Buffer, at = 0): Field[] {
  const text = header.toString('latin1')
  const fields: Field[] = []
  let open: { from: number } | undefined
  const close = (end: number) => {
    if (!open) return
    const whole = text.slice(open.from, end)
    const name = whole.slice(0, Math.max(0, whole.indexOf(':'))).replace(/\s+/g, '')
    fields.push({ name: name.toLowerCase(), text: withoutLineEnd(whole), from: at + open.from, to: at + end })
  }
  for (let from = 0; from < text.length; ) {
    const lf = text.indexOf('\n', from)
    const next = lf === -1 ? text.length : lf + 1
    if (!open || beginsField(text, from, next)) {
      close(from)
      open = { from }
    }
    from = next
  }
  close(text.length)
  return fields
}

function beginsField(text: string, from: number, next: number): boolean {
  const first = text.charCodeAt(from)
  // Nearly all lines that do not begin a field are folded lines.
  if (first === 32 || first === 9) return false
  const line = withoutLineEnd(text.slice(from, next))
  if (fieldStart.test(line)) return true
  return lonelyName.test(line) && lonelyColon.test(text.slice(next, next + 200))
}

function withoutLineEnd(line: string): string {
  return line.endsWith('\r\n') ? line.slice(0, -2) : line.endsWith('\n') ? line.slice(0, -1) : line
}

const emptyLine = Buffer.from('\r\n\r\n')

/** Takes a message in pieces and finds the end of its header. Keeps the first `most` bytes of the header. */
export class HeaderEnd {
  readonly #most: number
  #pieces: Buffer[] = []
  /**
   * The last three bytes, to find an empty line that is split between pieces. The start of a message counts as the
   * start of a line.
   */
  #tail: Buffer = Buffer.from('\r\n')
  ended = false
  /** Size of the header with its empty line once it has ended; until then, the bytes seen so far. */
  bytes = 0

  constructor(most: number) {
    this.#most = most
  }

  /** Whether the whole header was kept. */
  get isWhole(): boolean {
    return this.bytes <= this.#most
  }

  /** The header without the empty line. */
  get header(): Buffer {
    const kept = Buffer.concat(this.#pieces)
    return this.ended && this.isWhole ? kept.subarray(0, kept.length - 2) : kept
  }

  /** @returns the part of the piece that belongs to the body; empty while the header continues */
  take(piece: Buffer): Buffer {
    if (this.ended) return piece
    const end = this.#endIn(piece)
    const mine = end === -1 ? piece : piece.subarray(0, end)
    if (this.bytes < this.#most) this.#pieces.push(mine.subarray(0, this.#most - this.bytes))
    this.bytes += mine.length
    this.#tail = Buffer.concat([this.#tail, mine.subarray(-3)]).subarray(-3)
    this.ended = end !== -1
    return end === -1 ? nothing : piece.subarray(end)
  }

  #endIn(piece: Buffer): number {
    const seam = Buffer.concat([this.#tail, piece.subarray(0, 3)]).indexOf(emptyLine)
    if (seam !== -1) return seam + 4 - this.#tail.length
    const at = piece.indexOf(emptyLine)
    return at === -1 ? -1 : at + 4
  }
}

const nothing = Buffer.alloc(0)
