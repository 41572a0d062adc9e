/**
 * Takes Bcc and Resent-Bcc out of the header of a message that is handed in (RFC 5322 §3.6.3: so that nobody learns of the others),
 * in whatever pieces it comes, however long the header is. A signature that covers them breaks: who may know of whom comes first,
 * and signing them was never advised (RFC 4871 §5.5). Lines must end in CRLF. What strangers send is never looked at here.
 */

const CR = 13
const LF = 10
const COLON = 58
const secret = /^(?:resent-)?bcc[ \t]*:$/i
/** `Resent-Bcc`, the blanks before its colon that nobody writes, and the colon. */
const longestName = 64

export class BlindCopies {
  #inHeader = true
  /** Within a line that goes, or a line that stays. At its beginning neither is known. */
  #line: 'begins' | 'goes' | 'stays' = 'begins'
  /** Whether the field above goes: its folded lines go with it. */
  #fieldGoes = false
  /** The beginning of a line whose name is not known yet. */
  #held: Buffer = Buffer.alloc(0)

  /** @returns what stays of the piece; what is held back comes with the next */
  take(piece: Buffer): Buffer[] {
    if (!this.#inHeader) return [piece]
    const octets = this.#held.length > 0 ? Buffer.concat([this.#held, piece]) : piece
    this.#held = nothing
    const stay: Buffer[] = []
    let from = 0
    let at = 0
    const keepUpTo = (end: number) => {
      if (end > from) stay.push(octets.subarray(from, end))
    }
    while (at < octets.length && this.#inHeader) {
      if (this.#line === 'begins' && !this.#recognise(octets, at)) {
        this.#held = Buffer.from(octets.subarray(at))
        keepUpTo(at)
        return stay
      }
      if (this.#line === 'goes') keepUpTo(at)
      const lf = octets.indexOf(LF, at)
      at = lf === -1 ? octets.length : lf + 1
      if (this.#line === 'goes') from = at
      if (lf !== -1) this.#line = 'begins'
    }
    keepUpTo(octets.length)
    return stay
  }

  /** What was held back when the message ended. */
  rest(): Buffer[] {
    return this.#held.length > 0 ? [this.#held] : []
  }

  /** What is to become of the line that begins here. @returns false when more of it has to be seen */
  #recognise(octets: Buffer, at: number): boolean {
    const first = octets[at]
    if (first === CR) {
      this.#inHeader = false
      return true
    }
    if (first !== 32 && first !== 9) {
      const limit = Math.min(octets.length, at + longestName)
      const colon = octets.subarray(at, limit).indexOf(COLON)
      const start = octets.toString('latin1', at, colon === -1 ? limit : at + colon + 1)
      if (colon === -1 && limit - at < longestName && maybeSecret.test(start)) return false
      this.#fieldGoes = secret.test(start)
    }
    this.#line = this.#fieldGoes ? 'goes' : 'stays'
    return true
  }
}

const nothing = Buffer.alloc(0)
/** So may the line of such a field begin. */
const maybeSecret = /^(?:r(?:e(?:s(?:e(?:n(?:t(?:-(?:b(?:c(?:c[ \t]*)?)?)?)?)?)?)?)?)?|b(?:c(?:c[ \t]*)?)?)$/i
