import { isAscii } from 'node:buffer'
import { Base64, Base64Again } from './base64.ts'
import { longestLine } from './long-lines.ts'
import { asUnknownText, type EntityHeader, folded, isMime, readHeader, withEncoding } from './mime-header.ts'
import { MimeLines } from './mime-lines.ts'
import { QuotedPrintable } from './quoted-printable.ts'

/**
 * Makes a message fit for a server without 8BITMIME (RFC 6152 §3), in pieces and in bounded memory: parts with bytes above
 * 127 or lines that are too long are encoded, each by itself, and nothing else changes. It is read twice: which parts these
 * are is known at their end, and said before them.
 */

/** Parts within parts; what is deeper is not converted. */
const maxDepth = 20

const crlf = Buffer.from('\r\n')

export function isSevenBit(bytes: Buffer): boolean {
  return isAscii(bytes)
}

/**
 * Which entities change, in the order of their headers; none: the message goes as it is. `unfit`: why it cannot be converted.
 * `folds`: a header line is too long and can be folded. `isEightBit`: text beyond ASCII was seen.
 */
export type ConversionScan = { changes: boolean[]; unfit?: string; folds?: boolean; isEightBit?: boolean }
/** `onlyLines`: for a server with 8BITMIME, so only lines that are too long are of interest. The rest is what the survey said. */
export type Reading = { onlyLines?: boolean; folds?: boolean; isEightBit?: boolean }

type Encoder = { text(bytes: Buffer): Buffer; lineEnd(): Buffer; finish(): Buffer }
/** `sealed`: within what is signed or encrypted as a whole (RFC 1847 §2.1): nothing may be changed. */
type Place = { depth: number; sealed: boolean }
/** A multipart or an enclosed message that is not over. */
type Open = Place & {
  index: number
  boundary: string | undefined
  usual: string
  /** A delimiter was seen; a preamble beyond ASCII was seen. */
  begun: boolean
  isPreambleEightBit: boolean
}
type State =
  | (Place & { at: 'header'; usual: string; isMessage: boolean })
  | { at: 'leaf'; index: number; encoder: Encoder | undefined; mayChange: boolean }
  | { at: 'between' }

/** One reading of a message: without `changes` it is surveyed, with them it is converted. */
export class SevenBit {
  readonly survey: ConversionScan = { changes: [] }
  readonly #changes: readonly boolean[] | undefined
  readonly #reading: Reading
  readonly #open: Open[] = []
  readonly #lines: MimeLines
  #state: State = { at: 'header', usual: '', isMessage: true, depth: 0, sealed: false }
  #out: Buffer[] = []

  constructor(changes?: readonly boolean[], reading: Reading = {}) {
    this.#changes = changes
    this.#reading = reading
    this.#lines = new MimeLines({
      collects: () => this.#state.at === 'header',
      delimiter: (line) => this.#delimiterIn(line),
      header: (text, hasBody) => this.#header(text, hasBody),
      text: (bytes, length) => this.#text(bytes, length),
      lineEnd: () => this.#lineEnd(),
      delimited: (line, after) => this.#delimited(line, after),
    })
  }

  /** Takes the next piece; answers what it becomes, nothing while surveying. */
  push(piece: Buffer): Buffer {
    this.#lines.push(piece)
    return this.#taken()
  }

  end(): Buffer {
    this.#lines.end()
    this.#finishLeaf()
    this.#close(0)
    return this.#taken()
  }

  #taken(): Buffer {
    const out = Buffer.concat(this.#out)
    this.#out = []
    return out
  }

  #give(bytes: Buffer): void {
    if (this.#changes) this.#out.push(bytes)
  }

  /** Of the innermost multipart whose delimiter this is, its place; -1: it is none. */
  #delimiterIn(line: string): number {
    return this.#open.findLastIndex(({ boundary }) => boundary !== undefined && isDelimiter(line, boundary))
  }

  #delimited(line: string, after: boolean): void {
    const place = this.#delimiterIn(line)
    this.#finishLeaf()
    if (after) this.#give(crlf)
    this.#close(place + 1)
    const multipart = this.#open[place] as Open
    const { usual, depth, sealed } = multipart
    multipart.begun = true
    this.#give(Buffer.from(line, 'latin1'))
    const isLast = line.slice(2 + (multipart.boundary as string).length).trimEnd() === '--'
    // After its last delimiter nothing of it is one any more.
    if (isLast) multipart.boundary = undefined
    this.#state = isLast ? { at: 'between' } : { at: 'header', usual, isMessage: false, depth: depth + 1, sealed }
  }

  #close(from: number): void {
    for (const { begun, isPreambleEightBit, boundary } of this.#open.splice(from))
      if (!begun && isPreambleEightBit && boundary !== undefined) this.#refuse('a multipart without its delimiters')
  }

  #header(text: string, hasBody: boolean): void {
    if (this.#state.at !== 'header') return
    const { usual, isMessage, depth, sealed } = this.#state
    const index = this.survey.changes.push(false) - 1
    const isEightBit = /[^\0-\x7f]/.test(text)
    if (isEightBit) this.#refuse('a header beyond ASCII')
    if (hasBody && !sealed && folded(text) !== text) this.survey.folds = true
    const kindless = isMessage && !isMime(text)
    const header = readHeader(text, kindless ? 'text/plain' : usual || 'text/plain')
    const isChanged = this.#changes?.[index] === true
    const { folds, isEightBit: isUnknown = true } = this.#reading
    const asFolded = folds && hasBody && !sealed ? folded(text) : text
    const changed = isChanged ? changedHeader(asFolded, header, { kindless, isMessage, isUnknown }) : asFolded
    this.#give(Buffer.from(hasBody ? `${changed}\r\n` : changed, 'latin1'))
    // Of a header without an end it is not known what is body.
    this.#state = this.#bodyOf(header, { index, depth, sealed: sealed || !hasBody, isChanged })
  }

  #bodyOf(header: EntityHeader, place: Place & { index: number; isChanged: boolean }): State {
    const { kind, boundary, encoding } = header
    const { index, depth, sealed, isChanged } = place
    const isIdentity = isPlainEncoding(encoding)
    const opened = { index, depth, begun: false, isPreambleEightBit: false }
    if (isIdentity && boundary !== undefined && kind.startsWith('multipart/') && depth < maxDepth) {
      const usual = kind === 'multipart/digest' ? 'message/rfc822' : 'text/plain'
      this.#open.push({ ...opened, boundary, usual, sealed: sealed || isSealed(kind) })
      return { at: 'between' }
    }
    if (isIdentity && isEnclosed(kind) && depth < maxDepth) {
      this.#open.push({ ...opened, boundary: undefined, usual: '', sealed })
      return { at: 'header', usual: '', isMessage: true, depth: depth + 1, sealed }
    }
    const mayChange = !sealed && isConvertible(header)
    return { at: 'leaf', index, mayChange, encoder: isChanged ? encoderFor(header) : undefined }
  }

  /** `length`: of the line up to here. */
  #text(bytes: Buffer, length: number): void {
    const isBeyondAscii = !isAscii(bytes)
    if (isBeyondAscii) this.survey.isEightBit = true
    const isEightBit = isBeyondAscii && !this.#reading.onlyLines
    const state = this.#state
    if (state.at === 'between') {
      const multipart = this.#open.at(-1)
      if (isEightBit) this.#change(multipart?.index)
      if (multipart && isEightBit) multipart.isPreambleEightBit = true
      // Before the first part and after the last stands nothing that anybody shows.
      this.#give(isEightBit ? Buffer.from(bytes.map((byte) => (byte > 127 ? 63 : byte))) : bytes)
    } else if (state.at === 'leaf') {
      const { index, mayChange, encoder } = state
      if (mayChange && (isEightBit || length > longestLine)) this.#change(index)
      else if (isEightBit) this.#refuse('a part that may not be encoded')
      this.#give(encoder ? encoder.text(bytes) : bytes)
    }
  }

  #lineEnd(): void {
    const encoder = this.#state.at === 'leaf' ? this.#state.encoder : undefined
    this.#give(encoder ? encoder.lineEnd() : crlf)
  }

  #finishLeaf(): void {
    if (this.#state.at === 'leaf' && this.#state.encoder) this.#give(this.#state.encoder.finish())
  }

  /** It, and what it is in: their headers say that nothing in them is beyond ASCII. */
  #change(index: number | undefined): void {
    const { changes } = this.survey
    if (index === undefined || changes[index]) return
    changes[index] = true
    if (this.#reading.onlyLines) return
    for (const open of this.#open) changes[open.index] = true
  }

  #refuse(why: string): void {
    if (!this.#reading.onlyLines) this.survey.unfit ??= why
  }
}

function isDelimiter(line: string, boundary: string): boolean {
  return line.startsWith(boundary, 2) && /^(--)?[ \t]*$/.test(line.slice(2 + boundary.length))
}

function isSealed(kind: string): boolean {
  return kind === 'multipart/signed' || kind === 'multipart/encrypted'
}

function isEnclosed(kind: string): boolean {
  return kind === 'message/rfc822' || kind === 'message/global'
}

function isPlainEncoding(encoding: string): boolean {
  return encoding === '' || encoding === '7bit' || encoding === '8bit' || encoding === 'binary'
}

/** What is composed of parts that were not found may not be encoded (RFC 2045 §6.4), nor what has an encoding nobody knows. */
function isConvertible({ kind, encoding }: EntityHeader): boolean {
  if (kind.startsWith('multipart/') || (kind.startsWith('message/') && !kind.startsWith('message/global-')))
    return false
  return isPlainEncoding(encoding) || encoding === 'quoted-printable' || encoding === 'base64'
}

/** What is encoded already is not encoded twice: only what may not stand in it goes. */
function encoderFor({ kind, encoding }: EntityHeader): Encoder {
  if (encoding === 'quoted-printable') return new QuotedPrintable({ again: true })
  if (encoding === 'base64') return new Base64Again()
  return kind.startsWith('text/') || kind.startsWith('message/') ? new QuotedPrintable() : new Base64()
}

function changedHeader(
  text: string,
  { kind, encoding }: EntityHeader,
  { kindless, isMessage, isUnknown }: { kindless: boolean; isMessage: boolean; isUnknown: boolean },
): string {
  if (encoding === 'quoted-printable' || encoding === 'base64') return text
  if (kindless) return asUnknownText(text, isUnknown ? 'unknown-8bit' : 'us-ascii')
  const composed = kind.startsWith('multipart/') || isEnclosed(kind)
  const isText = kind.startsWith('text/') || kind.startsWith('message/')
  const said = withEncoding(text, composed ? '7bit' : isText ? 'quoted-printable' : 'base64')
  // Without it nobody would heed the encoding.
  return isMessage && !/^mime-version[ \t]*:/im.test(text) ? `MIME-Version: 1.0\r\n${said}` : said
}

/** The header with the CRLF of its last line, and the body after the empty line. */
export function splitMessage(message: Buffer): { header: Buffer; body: Buffer } {
  if (message[0] === 13 && message[1] === 10) return { header: message.subarray(0, 0), body: message.subarray(2) }
  const at = message.indexOf('\r\n\r\n')
  if (at < 0) return { header: message, body: Buffer.alloc(0) }
  return { header: message.subarray(0, at + 2), body: message.subarray(at + 4) }
}

/** A message at hand, whole. `undefined`: it cannot be converted. */
export function toSevenBit(message: Buffer): Buffer | undefined {
  const reading = new SevenBit()
  reading.push(message)
  reading.end()
  const { changes, unfit } = reading.survey
  if (unfit !== undefined) return undefined
  if (!changes.includes(true)) return message
  const writing = new SevenBit(changes)
  return Buffer.concat([writing.push(message), writing.end()])
}
