/**
 * Finds the end of data and extracts the message from the bytes of the client (RFC 5321 §4.1.1.4, §4.5.2).
 *
 * It promises: only CRLF.CRLF ends the data, however it is split into packets; stuffed dots are removed; the output has no
 * bare CR or LF, because each is rewritten to CRLF. So `LF.LF` can at most become a line with a single dot inside one message,
 * and the Queue Manager stuffs that dot again when it sends the message on. Time is linear in the size, and ordinary mail is
 * searched, not read byte by byte. A message in chunks (RFC 3030) has no stuffed dots and no end mark: there only line ends are
 * rewritten. It never decides anything: the rule about bare line feeds reads `bareLineFeeds`.
 */

const LF = 10
const CR = 13
const DOT = 46

/** The place of the next byte in its line. What the names after `text` spell is held back until the next byte is seen. */
type Place = 'start' | 'text' | 'dot' | 'dot-cr' | 'cr'

/** With more stuffed dots in a packet it is faster to read byte by byte than to cut it into pieces. */
const maxStuffedDots = 64

/** What ends ordinary mail: a bare CR, one that ends the packet, a bare LF; after DATA also a dot at the beginning of a line. */
const odd = /\r(?!\n)|(?<!\r)\n/g
const oddOrDot = /\r(?!\n)|(?<!\r)\n|\n\./g

let scratchMemory = Buffer.allocUnsafeSlow(131_080)

/** Memory for one call; the result is copied out of it. */
function scratch(bytes: number): Buffer {
  if (scratchMemory.length < bytes) scratchMemory = Buffer.allocUnsafeSlow(bytes)
  return scratchMemory
}

export class BodyScanner {
  /** Bytes of the message as received, without stuffing and without the end of data. */
  size = 0
  bareLineFeeds = false
  nulOctets = false
  readonly #stuffed: boolean
  #place: Place = 'start'
  #ended = false

  /** `stuffed`: dots are doubled and one alone ends the data, as after DATA. */
  constructor({ stuffed = true }: { stuffed?: boolean } = {}) {
    this.#stuffed = stuffed
  }

  /**
   * Takes the next bytes and appends what belongs to the message to `out`; the pieces share memory with `chunk`.
   * @returns how many bytes of `chunk` were used when the data ends in it; -1: all, and there is more to come
   */
  scan(chunk: Buffer, out: Buffer[]): number {
    let at = 0
    // A line that the packet has split is read byte by byte until its place is plain again.
    if (!this.#plain) at = this.#dense(chunk, { from: 0, until: Math.min(4, chunk.length), out })
    if (!this.#ended && this.#plain) at = this.#sparse(chunk, at, out)
    if (!this.#ended && at < chunk.length) at = this.#dense(chunk, { from: at, until: chunk.length, out })
    if (!this.nulOctets) {
      const nul = chunk.indexOf(0)
      this.nulOctets = nul !== -1 && nul < at
    }
    return this.#ended ? at : -1
  }

  /** The end of a message whose chunks end anywhere: its last line gets the CRLF that DATA would have asked for. */
  finish(out: Buffer[]): void {
    if (this.#place === 'start') return
    if (this.#place === 'cr') {
      this.size++
      this.bareLineFeeds = true
    }
    this.#place = 'start'
    out.push(Buffer.from('\r\n'))
  }

  get #plain(): boolean {
    return this.#place === 'start' || this.#place === 'text'
  }

  /**
   * Ordinary mail: lines that end in CRLF, a stuffed dot here and there. One search over the packet as text is three times
   * faster than a search for each line end. @returns where that ends
   */
  #sparse(chunk: Buffer, start: number, out: Buffer[]): number {
    const text = chunk.toString('latin1')
    const next = this.#stuffed ? oddOrDot : odd
    let given = start
    let at = start
    let dots = 0
    const upTo = (end: number, from: number) => {
      this.size += end - given
      if (end > given) out.push(chunk.subarray(given, end))
      given = from
    }
    for (;;) {
      if (this.#stuffed && this.#place === 'start' && chunk[at] === DOT) {
        if (at + 2 >= chunk.length || ++dots > maxStuffedDots) {
          upTo(at, at)
          return at
        }
        if (chunk[at + 1] === CR && chunk[at + 2] === LF) {
          upTo(at, at)
          this.#ended = true
          return at + 3
        }
        upTo(at, at + 1)
        at++
        this.#place = 'text'
      }
      next.lastIndex = at
      const end = next.test(text) ? next.lastIndex - 1 : chunk.length
      // Every LF before `end` follows a CR.
      if (end > at) this.#place = chunk[end - 1] === LF ? 'start' : 'text'
      at = end
      if (at === chunk.length || chunk[at] !== DOT) {
        upTo(at, at)
        return at
      }
    }
  }

  /** Byte by byte, into memory of its own. The output is at most twice as long as the input. */
  #dense(chunk: Buffer, { from, until, out }: { from: number; until: number; out: Buffer[] }): number {
    const to = scratch((until - from) * 2 + 4)
    let place = this.#place
    let w = 0
    let size = this.size
    let bare = this.bareLineFeeds
    let i = from
    for (; i < until; i++) {
      const byte = chunk[i] as number
      if (place === 'dot-cr') {
        if (byte === LF) {
          this.#ended = true
          i++
          break
        }
        // `.` CR and no LF: a stuffed dot, and then a bare CR.
        place = 'cr'
      } else if (place === 'dot') {
        if (byte === CR) {
          place = 'dot-cr'
          continue
        }
        place = 'text'
      }
      if (place === 'cr') {
        to[w++] = CR
        to[w++] = LF
        if (byte === LF) {
          size += 2
          place = 'start'
          continue
        }
        size++
        bare = true
        place = 'text'
      }
      if (byte === DOT && place === 'start' && this.#stuffed) {
        place = 'dot'
      } else if (byte === CR) {
        place = 'cr'
      } else if (byte === LF) {
        to[w++] = CR
        to[w++] = LF
        size++
        bare = true
        place = 'text'
      } else {
        to[w++] = byte
        size++
        place = 'text'
      }
    }
    this.#place = place
    this.size = size
    this.bareLineFeeds = bare
    if (w > 0) out.push(Buffer.from(to.subarray(0, w)))
    return i
  }
}
