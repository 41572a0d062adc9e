import { Transform, type TransformCallback } from 'node:stream'

/** Dot transparency (RFC 5321 §4.5.2): a line that begins with a dot gets another; the end is `CRLF.CRLF`. */

const dot = Buffer.from('.')
const end = Buffer.from('.\r\n')
const endAfterText = Buffer.from('\r\n.\r\n')

/** A whole message as it goes over the wire, in as few parts as possible. */
export function dotStuffed(message: Buffer): Buffer[] {
  const parts: Buffer[] = []
  if (message[0] === 46) parts.push(dot)
  let from = 0
  for (let at = message.indexOf('\r\n.'); at >= 0; at = message.indexOf('\r\n.', at + 2)) {
    parts.push(message.subarray(from, at + 3), dot)
    from = at + 3
  }
  parts.push(message.subarray(from), endsLine(message) ? end : endAfterText)
  return parts
}

function endsLine(message: Buffer): boolean {
  const { length } = message
  return length === 0 || (message[length - 1] === 10 && message[length - 2] === 13)
}

/** The same for a stream: dots doubled and the end added, over any split into chunks. */
export class DotStuffer extends Transform {
  /** The last two bytes seen; a message begins as if after CRLF. */
  #tail: [number, number] = [13, 10]

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    if (chunk.length > 0) this.#take(chunk)
    done()
  }

  #take(chunk: Buffer): void {
    // Positions at which a dot begins a line; the tail makes lines that end in the chunk before visible.
    if (chunk[0] === 46 && this.#tail[0] === 13 && this.#tail[1] === 10) this.push(dot)
    if (chunk[0] === 10 && this.#tail[1] === 13 && chunk[1] === 46) {
      this.push(chunk.subarray(0, 1))
      this.push(dot)
      this.#pass(chunk, 1)
    } else this.#pass(chunk, 0)
    this.#tail =
      chunk.length > 1 ? [chunk.at(-2) as number, chunk.at(-1) as number] : [this.#tail[1], chunk[0] as number]
  }

  #pass(chunk: Buffer, start: number): void {
    let from = start
    for (let at = chunk.indexOf('\r\n.', start); at >= 0; at = chunk.indexOf('\r\n.', at + 2)) {
      this.push(chunk.subarray(from, at + 2))
      this.push(dot)
      from = at + 2
    }
    this.push(from === 0 ? chunk : chunk.subarray(from))
  }

  override _flush(done: TransformCallback): void {
    this.push(this.#tail[0] === 13 && this.#tail[1] === 10 ? end : endAfterText)
    done()
  }
}
