/** The header of a message as octets: its fields, where they stand, and where it ends. Linear in its length, whatever is in it. */

/** One field: its lines without the last CRLF, and its octets in the message `[from, to)`. */
export type Field = { name: string; text: string; from: number; to: number }

/** RFC 5322 §3.6.8; whitespace before the colon is obsolete syntax (§4.5.8) and understood. */
const fieldStart = /^[\x21-\x39\x3b-\x7e]+[ \t]*:/
/** The colon may stand on the line after the name. */
const lonelyName = /^[\x21-\x39\x3b-\x7e]+[ \t]*$/
const lonelyColon = /^[ \t]+:/

/**
 * Splits a header (latin1, without the empty line). A line that begins no field belongs to the one above: what signatures
 * cover is read so by mailauth too. `at`: where the header begins in the message.
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
  // Nearly every line that begins none is folded.
  if (first === 32 || first === 9) return false
  const line = withoutLineEnd(text.slice(from, next))
  if (fieldStart.test(line)) return true
  return lonelyName.test(line) && lonelyColon.test(text.slice(next, next + 200))
}

function withoutLineEnd(line: string): string {
  return line.endsWith('\r\n') ? line.slice(0, -2) : line.endsWith('\n') ? line.slice(0, -1) : line
}

const emptyLine = Buffer.from('\r\n\r\n')

/** Takes a message in pieces and finds the end of its header, of which it keeps the first `most` octets. */
export class HeaderEnd {
  readonly #most: number
  #pieces: Buffer[] = []
  /** The last three octets, for an empty line that the pieces cut. A message begins as if after a line. */
  #tail: Buffer = Buffer.from('\r\n')
  ended = false
  /** Of the header with its empty line, once it has ended; else those seen. */
  octets = 0

  constructor(most: number) {
    this.#most = most
  }

  /** All of it was kept. */
  get isWhole(): boolean {
    return this.octets <= this.#most
  }

  /** Without the empty line. */
  get header(): Buffer {
    const kept = Buffer.concat(this.#pieces)
    return this.ended && this.isWhole ? kept.subarray(0, kept.length - 2) : kept
  }

  /** @returns what of the piece is body; empty while the header goes on */
  take(piece: Buffer): Buffer {
    if (this.ended) return piece
    const end = this.#endIn(piece)
    const mine = end === -1 ? piece : piece.subarray(0, end)
    if (this.octets < this.#most) this.#pieces.push(mine.subarray(0, this.#most - this.octets))
    this.octets += mine.length
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
