/// <reference path="../libqp.d.ts" />
import libqp from 'libqp'

/**
 * Makes a message fit for a server without 8BITMIME (RFC 6152 §3): bodies with octets above 127 are encoded anew, each part
 * by itself, and nothing else changes. Lines end in CRLF throughout.
 */

/** Parts within parts; deeper is not converted. */
const mostDepth = 20
const emptyLine = Buffer.from('\r\n\r\n')

export function isSevenBit(octets: Buffer): boolean {
  // What is not ASCII takes more octets as UTF-8 than it has characters in latin1; native code both.
  return Buffer.byteLength(octets.toString('latin1'), 'utf8') === octets.length
}

/** The header with the CRLF of its last line, and the body after the empty line. */
export function splitMessage(message: Buffer): { header: Buffer; body: Buffer } {
  if (message[0] === 13 && message[1] === 10) return { header: message.subarray(0, 0), body: message.subarray(2) }
  const at = message.indexOf(emptyLine)
  if (at < 0) return { header: message, body: Buffer.alloc(0) }
  return { header: message.subarray(0, at + 2), body: message.subarray(at + 4) }
}

/** `undefined`: it cannot be converted. A header above 127 is for SMTPUTF8 alone; what is signed as a whole would break. */
export function toSevenBit(message: Buffer): Buffer | undefined {
  if (isSevenBit(message)) return message
  const { header, body } = splitMessage(message)
  const isMime = /^mime-version[ \t]*:/im.test(header.toString('latin1'))
  return entity({ header, body }, { depth: 0, usual: isMime ? 'text/plain' : '' })
}

type Entity = { header: Buffer; body: Buffer }

/** `usual`: the type of a part that names none; empty for a message that is not MIME at all. */
function entity({ header, body }: Entity, { depth, usual }: { depth: number; usual: string }): Buffer | undefined {
  if (depth > mostDepth || !isSevenBit(header)) return undefined
  if (isSevenBit(body)) return joined(header.toString('latin1'), body)
  const text = header.toString('latin1')
  const type = field(text, 'content-type')
  const kind = (type?.split(';')[0] ?? usual).trim().toLowerCase()
  if (usual === '') return joined(`${withoutMime(text)}${unknownText}`, quoted(body))
  if (kind === 'multipart/signed' || kind === 'multipart/encrypted') return undefined
  if (kind.startsWith('multipart/')) return multipart({ text, type: type ?? '', body }, depth, kind)
  if (kind === 'message/rfc822' || kind === 'message/global') return enclosed(text, body, depth)
  if (kind.startsWith('text/')) return joined(withEncoding(text, 'quoted-printable'), quoted(body))
  return joined(withEncoding(text, 'base64'), base64(body))
}

/** RFC 1428 §3: what it is, nobody said. */
const unknownText =
  'MIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\nContent-Transfer-Encoding: quoted-printable\r\n'

function enclosed(text: string, body: Buffer, depth: number): Buffer | undefined {
  const inner = splitMessage(body)
  const isMime = /^mime-version[ \t]*:/im.test(inner.header.toString('latin1'))
  const converted = entity(inner, { depth: depth + 1, usual: isMime ? 'text/plain' : '' })
  return converted && joined(withEncoding(text, '7bit'), converted)
}

function multipart(
  { text, type, body }: { text: string; type: string; body: Buffer },
  depth: number,
  kind: string,
): Buffer | undefined {
  const boundary = /;\s*boundary\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;]+))/i.exec(type)
  const name = (boundary?.[1]?.replace(/\\(.)/g, '$1') ?? boundary?.[2] ?? '').trimEnd()
  if (name === '') return undefined
  const usual = kind === 'multipart/digest' ? 'message/rfc822' : 'text/plain'
  const pieces: Buffer[] = [Buffer.from(`${withEncoding(text, '7bit')}\r\n`, 'latin1')]
  for (const piece of split(body, name)) {
    if (piece.kind === 'part') {
      const part = entity(splitMessage(piece.octets), { depth: depth + 1, usual })
      if (!part) return undefined
      pieces.push(part)
    } else if (isSevenBit(piece.octets)) pieces.push(piece.octets)
    // Before the first part and after the last stands nothing that anybody shows.
    else pieces.push(Buffer.from(piece.octets.map((octet) => (octet > 127 ? 63 : octet))))
  }
  return Buffer.concat(pieces)
}

type Piece = { kind: 'part' | 'between'; octets: Buffer }

/** Delimiter lines (with the CRLF before them, RFC 2046 §5.1.1) and what lies between. */
function split(body: Buffer, boundary: string): Piece[] {
  const mark = Buffer.from(`--${boundary}`, 'latin1')
  const pieces: Piece[] = []
  let from = 0
  let inPart = false
  for (let at = body.indexOf(mark); at >= 0; at = body.indexOf(mark, at + 1)) {
    if (at > 0 && (body[at - 1] !== 10 || body[at - 2] !== 13)) continue
    const end = body.indexOf('\r\n', at)
    const rest = body.toString('latin1', at + mark.length, end < 0 ? body.length : end)
    const last = /^--[ \t]*$/.test(rest)
    if (!last && !/^[ \t]*$/.test(rest)) continue
    const start = Math.max(from, at - 2)
    pieces.push({ kind: inPart ? 'part' : 'between', octets: body.subarray(from, start) })
    const after = end < 0 ? body.length : end + 2
    pieces.push({ kind: 'between', octets: body.subarray(start, after) })
    from = after
    inPart = !last
    if (last) break
  }
  pieces.push({ kind: inPart ? 'part' : 'between', octets: body.subarray(from) })
  return pieces
}

const unfolded = (header: string) => header.replace(/\r\n(?=[ \t])/g, '')

function field(header: string, name: string): string | undefined {
  const found = unfolded(header)
    .split('\r\n')
    .find((line) => line.slice(0, line.indexOf(':')).trim().toLowerCase() === name)
  return found?.slice(found.indexOf(':') + 1)
}

const encodingField = /^content-transfer-encoding[ \t]*:.*\r\n(?:[ \t].*\r\n)*/gim

function withEncoding(header: string, encoding: string): string {
  return `${header.replace(encodingField, '')}Content-Transfer-Encoding: ${encoding}\r\n`
}

function withoutMime(header: string): string {
  return header.replace(/^content-[a-z-]+[ \t]*:.*\r\n(?:[ \t].*\r\n)*/gim, '')
}

function joined(header: string, body: Buffer | string): Buffer {
  return Buffer.concat([Buffer.from(`${header}\r\n`, 'latin1'), Buffer.from(body as string)])
}

/** Each line by itself, so that line ends stay what they are. */
function quoted(body: Buffer): string {
  return libqp.wrap(libqp.encode(body), 76)
}

function base64(body: Buffer): string {
  return `${body
    .toString('base64')
    .replace(/.{1,76}/g, '$&\r\n')
    .trimEnd()}\r\n`
}
