/** RFC 5321 §4.5.3.1.6, without the CRLF. */
export const longestLine = 998

const lineFeed = 10

/** Looks for lines that are too long, about once in a thousand octets: native code does it, so the event loop has time for it. */
export class LongLines {
  found = false
  /** Octets of the line that has not ended. */
  #open = 0

  take(octets: Buffer): void {
    let from = 0
    while (!this.found) {
      const limit = longestLine + 2 - this.#open
      if (octets.length - from <= limit) {
        const end = octets.lastIndexOf(lineFeed)
        this.#open = end < from ? this.#open + octets.length - from : octets.length - end - 1
        return
      }
      // All lines that end between here and there are short enough.
      const end = limit > 0 ? octets.lastIndexOf(lineFeed, from + limit - 1) : -1
      if (end < from) this.found = true
      from = end + 1
      this.#open = 0
    }
  }
}

export function hasLongLines(octets: Buffer): boolean {
  const lines = new LongLines()
  lines.take(octets)
  return lines.found
}
