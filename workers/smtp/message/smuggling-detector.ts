/**
 * Detects attempts to smuggle a second message past a server that disagrees with us about where a message ends: within the data
 * a line of one dot whose line ends are not both CRLF (or that holds a NUL), followed at once by a command that begins or
 * continues a transaction. Both are needed: an old client that ends its lines in a bare LF may well send a line of one dot, and mail about
 * SMTP may quote commands. Looked for only in messages that hold bare line ends or NULs, in linear time.
 */
const falseEnd =
  /[\r\n]\0*\.[\0\r]*(?:\r\n|\n|\r)\0*(?:MAIL FROM:|RCPT TO:|(?:EHLO|HELO|BDAT|AUTH) |(?:DATA|RSET|STARTTLS)\r?\n)/i

/** Longer than a match of the pattern, so that it is found across packets. */
const overlap = 64

export class SmugglingDetector {
  found = false
  /** What came before, at least its last bytes. The data begins at the beginning of a line. */
  #before: Buffer = Buffer.from('\n')

  /** `isOdd`: the message holds bare line ends or NULs so far. */
  look(chunk: Buffer, isOdd: boolean): void {
    if (this.found) return
    if (isOdd) {
      const text = Buffer.concat([this.#before.subarray(-overlap), chunk]).toString('latin1')
      this.found = falseEnd.test(text)
    }
    this.#before = chunk.length >= overlap ? chunk : Buffer.concat([this.#before.subarray(-overlap), chunk])
  }
}
