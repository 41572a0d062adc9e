/** A subject as people read it: encoded words (RFC 2047) and UTF-8 decoded, and only printable characters. */

/** Characters that are kept. */
const longest = 200
const maxWords = 100
const encodedWord = /=\?([A-Za-z0-9_:.()-]{1,40})(?:\*[A-Za-z0-9-]{1,20})?\?([bq])\?([\x21-\x3e\x40-\x7e]{0,1000})\?=/gi

/** `raw`: the field's body as latin1, folded or not. */
export function readSubject(raw: string): string {
  const line = raw.replace(/\r\n[ \t]+/g, ' ').trim()
  const text = line.includes('=?') ? decodeWords(line) : utf8Of(line)
  return printable(text)
}

function decodeWords(line: string): string {
  // White space between two encoded words is none (RFC 2047 §6.2).
  const joined = line.replace(/(\?=)[ \t]+(?==\?)/g, '$1')
  let words = 0
  let text = ''
  let last = 0
  // Some clients split a character between two words of one charset: their bytes are joined first.
  let pending: { charset: string; bytes: Buffer } | undefined
  const flush = () => {
    if (pending) text += decode(pending.charset, pending.bytes)
    pending = undefined
  }
  for (const found of joined.matchAll(encodedWord)) {
    if (++words > maxWords) break
    const [whole, charset = '', kind = '', payload = ''] = found
    const bytes = bytesOf(kind, payload)
    if (found.index > last || pending?.charset !== charset.toLowerCase()) flush()
    text += utf8Of(joined.slice(last, found.index))
    pending = { charset: charset.toLowerCase(), bytes: pending ? Buffer.concat([pending.bytes, bytes]) : bytes }
    last = found.index + whole.length
  }
  flush()
  return text + utf8Of(joined.slice(last))
}

function bytesOf(kind: string, payload: string): Buffer {
  if (kind.toLowerCase() === 'b') return Buffer.from(payload, 'base64')
  const text = payload
    .replaceAll('_', ' ')
    .replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(text, 'latin1')
}

function decode(charset: string, bytes: Buffer): string {
  try {
    return new TextDecoder(charset).decode(bytes)
  } catch {
    // An unknown charset.
    return bytes.toString('latin1').replace(/[^\x20-\x7e]/g, '?')
  }
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true })

/** Bytes above 127 are UTF-8 (RFC 6532), or unreadable. */
function utf8Of(latin1: string): string {
  if (!/[^\x00-\x7f]/.test(latin1)) return latin1
  try {
    return strictUtf8.decode(Buffer.from(latin1, 'latin1'))
  } catch {
    return latin1.replace(/[^\x00-\x7f]/g, '?')
  }
}

/** Without control characters, overrides of the writing direction, and half characters at the cut. */
function printable(text: string): string {
  const cut = [...text.slice(0, longest * 2)].slice(0, longest).join('').slice(0, longest)
  return cut.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\u2028\u2029]/gu, '?').trim()
}
