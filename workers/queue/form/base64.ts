/** Base64 (RFC 2045 §6.8) of bytes that come in pieces. */

/** Bytes of a line of 76. */
const lineBytes = 57
const atOnce = lineBytes * 64

export class Base64 {
  #pieces: Buffer[] = []
  #bytes = 0

  text(bytes: Buffer): Buffer {
    this.#pieces.push(bytes)
    this.#bytes += bytes.length
    if (this.#bytes < atOnce) return Buffer.alloc(0)
    const all = Buffer.concat(this.#pieces)
    const whole = all.length - (all.length % lineBytes)
    this.#pieces = [all.subarray(whole)]
    this.#bytes = all.length - whole
    return lines(all.subarray(0, whole))
  }

  /** Ends of lines are bytes like others. */
  lineEnd(): Buffer {
    return this.text(Buffer.from('\r\n'))
  }

  finish(): Buffer {
    return lines(Buffer.concat(this.#pieces))
  }
}

function lines(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString('base64').replace(/.{1,76}/g, '$&\r\n'), 'latin1')
}

/** Base64 in which something stands that may not: bytes beyond ASCII, which every reader passes over, and lines that are too long. */
export class Base64Again {
  #column = 0

  text(bytes: Buffer): Buffer {
    const kept = bytes.filter((byte) => byte < 128)
    const pieces: Buffer[] = []
    for (let from = 0; from < kept.length; ) {
      if (this.#column === 76) {
        pieces.push(Buffer.from('\r\n'))
        this.#column = 0
      }
      const piece = kept.subarray(from, from + 76 - this.#column)
      pieces.push(Buffer.from(piece))
      this.#column += piece.length
      from += piece.length
    }
    return Buffer.concat(pieces)
  }

  lineEnd(): Buffer {
    this.#column = 0
    return Buffer.from('\r\n')
  }

  finish(): Buffer {
    return Buffer.alloc(0)
  }
}
