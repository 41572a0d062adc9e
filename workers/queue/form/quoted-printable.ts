/** Quoted-printable (RFC 2045 §6.7) of text that comes in pieces: each line by itself, so that line ends stay what they are. */

/** With the `=` of a soft line break 76. */
const longest = 75
const space = 32
const tab = 9
const equals = 61
const hex = Buffer.from('0123456789ABCDEF')

/** `again`: the text is quoted-printable already, and only what may not stand in it is encoded. */
export class QuotedPrintable {
  readonly #again: boolean
  #column = 0
  /** A blank of which it is not known yet whether it ends its line. */
  #blank = 0
  /** Octets of an `=XX` that stand already and must stay together. */
  #together = 0
  #out = Buffer.alloc(0)
  #at = 0

  constructor({ again = false }: { again?: boolean } = {}) {
    this.#again = again
  }

  /** Some octets of a line, without its end. The answer's memory is its own. */
  text(octets: Buffer): Buffer {
    this.#begin(octets.length)
    for (let i = 0; i < octets.length; i++) this.#octet(octets[i] as number)
    return this.#end()
  }

  lineEnd(): Buffer {
    const blank = this.#lastBlank()
    this.#column = 0
    this.#together = 0
    return Buffer.concat([blank, Buffer.from('\r\n')])
  }

  /** Where the text ends without the end of a line. */
  finish(): Buffer {
    return this.#lastBlank()
  }

  #lastBlank(): Buffer {
    this.#begin(1)
    const blank = this.#blank
    this.#blank = 0
    // Blanks at the end of a line that is encoded already are none (RFC 2045 §6.7, rule 3).
    if (blank !== 0 && this.#again) this.#plain(blank)
    else if (blank !== 0) this.#escaped(blank)
    return this.#end()
  }

  /** At most three octets each, and a soft line break of three after 25 of them. */
  #begin(octets: number): void {
    this.#out = Buffer.allocUnsafe((octets + 1) * 4 + 8)
    this.#at = 0
  }

  #end(): Buffer {
    return this.#out.subarray(0, this.#at)
  }

  #octet(octet: number): void {
    if (this.#blank !== 0) {
      const blank = this.#blank
      this.#blank = 0
      this.#plain(blank)
    }
    if (octet === space || octet === tab) this.#blank = octet
    else if (octet > 32 && octet < 127 && (octet !== equals || this.#again)) this.#plain(octet)
    else this.#escaped(octet)
  }

  #plain(octet: number): void {
    // What follows an `=` that stands already may not be parted from it; at the end of a line it is a soft break itself.
    const length = octet === equals ? 3 : 1
    if (this.#together > 0) this.#together--
    else this.#break(length)
    if (octet === equals) this.#together = 2
    this.#out[this.#at++] = octet
    this.#column++
  }

  #escaped(octet: number): void {
    this.#together = 0
    this.#break(3)
    this.#out[this.#at++] = equals
    this.#out[this.#at++] = hex[octet >> 4] as number
    this.#out[this.#at++] = hex[octet & 15] as number
    this.#column += 3
  }

  #break(length: number): void {
    if (this.#column + length <= longest) return
    this.#out[this.#at++] = equals
    this.#out[this.#at++] = 13
    this.#out[this.#at++] = 10
    this.#column = 0
  }
}
