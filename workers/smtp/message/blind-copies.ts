/**
 * Removes Bcc and Resent-Bcc from the header of a submitted message, so that recipients do not learn of each other (RFC 5322
 * §3.6.3), in whatever pieces it comes and however long the header is. A signature that covers these fields breaks; signing them
 * was never advised (RFC 4871 §5.5). Lines must end in CRLF. Mail from strangers is never changed here.
 */

const CR = 13
const LF = 10
const COLON = 58
const secret = /^(?:resent-)?bcc[ \t]*:$/i
/** `Resent-Bcc`, spaces that may precede its colon, and the colon. */
const longestName = 64

export class BlindCopies {
  #inHeader = true
  /** Whether the current line is removed; at its beginning that is not known. */
  #line: 'start' | 'removed' | 'kept' = 'start'
  /** Whether the field above is removed: its folded lines are removed with it. */
  #isFieldRemoved = false
  /** The beginning of a line whose name is not known yet. */
  #held: Buffer = Buffer.alloc(0)

  /** @returns what is kept of the piece; what is held back comes with the next */
  take(piece: Buffer): Buffer[] {
    if (!this.#inHeader) return [piece]
    const bytes = this.#held.length > 0 ? Buffer.concat([this.#held, piece]) : piece
    this.#held = nothing
    const stay: Buffer[] = []
    let from = 0
    let at = 0
    const keepUpTo = (end: number) => {
      if (end > from) stay.push(bytes.subarray(from, end))
    }
    while (at < bytes.length && this.#inHeader) {
      if (this.#line === 'start' && !this.#recognise(bytes, at)) {
        this.#held = Buffer.from(bytes.subarray(at))
        keepUpTo(at)
        return stay
      }
      if (this.#line === 'removed') keepUpTo(at)
      const lf = bytes.indexOf(LF, at)
      at = lf === -1 ? bytes.length : lf + 1
      if (this.#line === 'removed') from = at
      if (lf !== -1) this.#line = 'start'
    }
    keepUpTo(bytes.length)
    return stay
  }

  /** What was held back when the message ended. */
  rest(): Buffer[] {
    return this.#held.length > 0 ? [this.#held] : []
  }

  /** Decides about the line that begins here. @returns false when more of it has to be seen */
  #recognise(bytes: Buffer, at: number): boolean {
    const first = bytes[at]
    if (first === CR) {
      this.#inHeader = false
      return true
    }
    if (first !== 32 && first !== 9) {
      const limit = Math.min(bytes.length, at + longestName)
      const colon = bytes.subarray(at, limit).indexOf(COLON)
      const start = bytes.toString('latin1', at, colon === -1 ? limit : at + colon + 1)
      if (colon === -1 && limit - at < longestName && maybeSecret.test(start)) return false
      this.#isFieldRemoved = secret.test(start)
    }
    this.#line = this.#isFieldRemoved ? 'removed' : 'kept'
    return true
  }
}

const nothing = Buffer.alloc(0)
/** How the line of such a field may begin. */
const maybeSecret = /^(?:r(?:e(?:s(?:e(?:n(?:t(?:-(?:b(?:c(?:c[ \t]*)?)?)?)?)?)?)?)?)?|b(?:c(?:c[ \t]*)?)?)$/i
