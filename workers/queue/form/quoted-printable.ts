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
  /** Bytes of an `=XX` that stand already and must stay together. */
  #together = 0
  #out = Buffer.alloc(0)
  #at = 0

  constructor({ again = false }: { again?: boolean } = {}) {
    this.#again = again
  }

  /** Some bytes of a line, without its end. The answer's memory is its own. */
  text(bytes: Buffer): Buffer {
    this.#begin(bytes.length)
    for (let i = 0; i < bytes.length; i++) this.#byte(bytes[i] as number)
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

  /** At most three bytes each, and a soft line break of three after 25 of them. */
  #begin(bytes: number): void {
    this.#out = Buffer.allocUnsafe((bytes + 1) * 4 + 8)
    this.#at = 0
  }

  #end(): Buffer {
    return this.#out.subarray(0, this.#at)
  }

  #byte(byte: number): void {
    if (this.#blank !== 0) {
      const blank = this.#blank
      this.#blank = 0
      this.#plain(blank)
    }
    if (byte === space || byte === tab) this.#blank = byte
    else if (byte > 32 && byte < 127 && (byte !== equals || this.#again)) this.#plain(byte)
    else this.#escaped(byte)
  }

  #plain(byte: number): void {
    // What follows an `=` that stands already may not be parted from it; at the end of a line it is a soft break itself.
    const length = byte === equals ? 3 : 1
    if (this.#together > 0) this.#together--
    else this.#break(length)
    if (byte === equals) this.#together = 2
    this.#out[this.#at++] = byte
    this.#column++
  }

  #escaped(byte: number): void {
    this.#together = 0
    this.#break(3)
    this.#out[this.#at++] = equals
    this.#out[this.#at++] = hex[byte >> 4] as number
    this.#out[this.#at++] = hex[byte & 15] as number
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
