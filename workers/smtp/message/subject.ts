/** A subject as people read it: encoded words (RFC 2047) decoded, UTF-8 understood, and nothing in it that draws on the page that shows it. */

/** Characters that are kept. */
const longest = 200
const maxWords = 100
const encodedWord = /=\?([A-Za-z0-9_:.()-]{1,40})(?:\*[A-Za-z0-9-]{1,20})?\?([bq])\?([\x21-\x3e\x40-\x7e]{0,1000})\?=/gi

/** `raw`: the field's body, octets as latin1, folded or not. */
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
  // A character may be cut in two between words of one charset, as some clients do: their octets are joined first.
  let pending: { charset: string; octets: Buffer } | undefined
  const flush = () => {
    if (pending) text += decode(pending.charset, pending.octets)
    pending = undefined
  }
  for (const found of joined.matchAll(encodedWord)) {
    if (++words > maxWords) break
    const [whole, charset = '', kind = '', payload = ''] = found
    const octets = octetsOf(kind, payload)
    if (found.index > last || pending?.charset !== charset.toLowerCase()) flush()
    text += utf8Of(joined.slice(last, found.index))
    pending = { charset: charset.toLowerCase(), octets: pending ? Buffer.concat([pending.octets, octets]) : octets }
    last = found.index + whole.length
  }
  flush()
  return text + utf8Of(joined.slice(last))
}

function octetsOf(kind: string, payload: string): Buffer {
  if (kind.toLowerCase() === 'b') return Buffer.from(payload, 'base64')
  const text = payload
    .replaceAll('_', ' ')
    .replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(text, 'latin1')
}

function decode(charset: string, octets: Buffer): string {
  try {
    return new TextDecoder(charset).decode(octets)
  } catch {
    // A charset that nobody knows.
    return octets.toString('latin1').replace(/[^\x20-\x7e]/g, '?')
  }
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true })

/** Octets beyond ASCII are UTF-8 (RFC 6532) or nobody's. */
function utf8Of(latin1: string): string {
  if (!/[^\x00-\x7f]/.test(latin1)) return latin1
  try {
    return strictUtf8.decode(Buffer.from(latin1, 'latin1'))
  } catch {
    return latin1.replace(/[^\x00-\x7f]/g, '?')
  }
}

/** No controls, no overrides of the writing direction, no half characters at the cut. */
function printable(text: string): string {
  const cut = [...text.slice(0, longest * 2)].slice(0, longest).join('').slice(0, longest)
  return cut.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\u2028\u2029]/gu, '?').trim()
}
