/** RFC 5321 §4.5.3.1.6, without the CRLF. */
export const longestLine = 998

const lineFeed = 10

/** Looks for lines that are too long, about once in a thousand bytes: native code does it, so the event loop has time for it. */
export class LongLines {
  found = false
  /** Bytes of the line that has not ended. */
  #open = 0

  take(bytes: Buffer): void {
    let from = 0
    while (!this.found) {
      const limit = longestLine + 2 - this.#open
      if (bytes.length - from <= limit) {
        const end = bytes.lastIndexOf(lineFeed)
        this.#open = end < from ? this.#open + bytes.length - from : bytes.length - end - 1
        return
      }
      // All lines that end between here and there are short enough.
      const end = limit > 0 ? bytes.lastIndexOf(lineFeed, from + limit - 1) : -1
      if (end < from) this.found = true
      from = end + 1
      this.#open = 0
    }
  }
}

export function hasLongLines(bytes: Buffer): boolean {
  const lines = new LongLines()
  lines.take(bytes)
  return lines.found
}
