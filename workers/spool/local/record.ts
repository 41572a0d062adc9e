import { crc32 } from 'node:zlib'
import type { Envelope } from '@postern/contract/envelope.ts'

/**
 * The format of a segment. All numbers are little endian.
 *
 * A segment is a head, then records without gaps. A record is a header, then envelope (JSON), prefix and body. In a
 * segment of its own (a large message) the body comes before envelope and prefix, because they are known last. Every
 * record begins with its writer's random marker and states its position. So when the reader searches for the next
 * record after damage, it never mistakes a record inside a message body for a real one.
 */

export const headLength = 64
export const headerLength = 52
const headMagic = Buffer.from('POSTERN\x01', 'latin1')

export type Head = {
  segment: number
  /** Whether the segment holds one large message, or is shared by many. */
  own: boolean
  /** The segment written before this one, and the end of its last durable record. 0 if there was none. */
  previous: number
  previousEnd: number
  marker: Buffer
}

export function encodeHead(head: Head): Buffer {
  const bytes = Buffer.alloc(headLength)
  headMagic.copy(bytes)
  bytes.writeUInt32LE(head.segment, 8)
  bytes.writeUInt32LE(head.own ? 1 : 0, 12)
  bytes.writeUInt32LE(head.previous, 16)
  writeLong(bytes, head.previousEnd, 20)
  head.marker.copy(bytes, 28)
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 60)), 60)
  return bytes
}

/** Decodes a segment head; `undefined` if the bytes are not a complete head. */
export function decodeHead(bytes: Buffer): Head | undefined {
  if (bytes.length < headLength || !bytes.subarray(0, 8).equals(headMagic)) return undefined
  if (crc32(bytes.subarray(0, 60)) !== bytes.readUInt32LE(60)) return undefined
  return {
    segment: bytes.readUInt32LE(8),
    own: bytes.readUInt32LE(12) === 1,
    previous: bytes.readUInt32LE(16),
    previousEnd: readLong(bytes, 20),
    marker: Buffer.from(bytes.subarray(28, 36)),
  }
}

/**
 * Returns the format of a segment that another release wrote. Its records would look like damage. `undefined`: the
 * format is the current one, or this is not a segment. A damaged byte in a head of the current format is not another
 * format.
 */
export function foreignFormat(bytes: Buffer): number | undefined {
  if (bytes.length < headLength || !bytes.subarray(0, 7).equals(headMagic.subarray(0, 7))) return undefined
  const format = bytes[7] as number
  if (format === headMagic[7]) return undefined
  const asOurs = Buffer.from(bytes)
  headMagic.copy(asOurs)
  return decodeHead(asOurs) ? undefined : format
}

const copyFlag = 1
const ownFlag = 2

export type Header = {
  own: boolean
  copy: boolean
  envelopeLength: number
  prefixLength: number
  bodyLength: number
  /** CRC-32 of envelope and prefix. */
  metaCrc: number
  bodyCrc: number
}

/** The position of a record. It is part of the checksum, so that a record at the wrong position counts as damage. */
export type Place = {
  marker: Buffer
  segment: number
  offset: number
}

/** Writes everything except the position, which is known only when the record is written. */
function writeHeader(bytes: Buffer, header: Header): void {
  bytes.writeUInt32LE((header.copy ? copyFlag : 0) | (header.own ? ownFlag : 0), 12)
  bytes.writeUInt32LE(header.envelopeLength, 24)
  bytes.writeUInt32LE(header.prefixLength, 28)
  writeLong(bytes, header.bodyLength, 32)
  bytes.writeUInt32LE(header.metaCrc, 40)
  bytes.writeUInt32LE(header.bodyCrc, 44)
}

export function sealHeader(bytes: Buffer, place: Place): void {
  place.marker.copy(bytes)
  bytes.writeUInt32LE(place.segment, 8)
  writeLong(bytes, place.offset, 16)
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 48)), 48)
}

/**
 * Decodes a header at `at`; `undefined` if no complete header for this place begins there. Without a marker, any marker
 * is accepted.
 */
export function decodeHeader(bytes: Buffer, at: number, place: Omit<Place, 'marker'>): Header | undefined {
  if (bytes.length - at < headerLength) return undefined
  if (bytes.readUInt32LE(at + 8) !== place.segment || readLong(bytes, at + 16) !== place.offset) return undefined
  if (crc32(bytes.subarray(at, at + 48)) !== bytes.readUInt32LE(at + 48)) return undefined
  const flags = bytes.readUInt32LE(at + 12)
  return {
    own: (flags & ownFlag) !== 0,
    copy: (flags & copyFlag) !== 0,
    envelopeLength: bytes.readUInt32LE(at + 24),
    prefixLength: bytes.readUInt32LE(at + 28),
    bodyLength: readLong(bytes, at + 32),
    metaCrc: bytes.readUInt32LE(at + 40),
    bodyCrc: bytes.readUInt32LE(at + 44),
  }
}

export function recordLength(header: Header): number {
  return headerLength + header.envelopeLength + header.prefixLength + header.bodyLength
}

/** Returns the offsets of a record's parts from its start. */
export function partsOf(header: Header): { meta: number; body: number } {
  if (header.own) return { meta: headerLength + header.bodyLength, body: headerLength }
  return { meta: headerLength, body: headerLength + header.envelopeLength + header.prefixLength }
}

/** Envelope and prefix as stored in a record. */
export type Meta = {
  envelope: Envelope
  json: string
  prefix: Buffer
}

/** Decodes envelope and prefix; `undefined` if the checksum does not match. */
export function decodeMeta(header: Header, bytes: Buffer): Meta | undefined {
  if (crc32(bytes) !== header.metaCrc) return undefined
  try {
    const json = bytes.toString('utf8', 0, header.envelopeLength)
    return { envelope: JSON.parse(json) as Envelope, json, prefix: bytes.subarray(header.envelopeLength) }
  } catch {
    return undefined
  }
}

const none = Buffer.alloc(0)

/** Encodes everything of a small record before its body: a header without its position, then envelope and prefix. */
export function encodeStart(
  envelope: Envelope,
  prefix: Buffer | undefined,
  body: { length: number; crc: number; own: boolean; copy: boolean },
): Buffer {
  const json = JSON.stringify(envelope)
  const envelopeLength = Buffer.byteLength(json)
  const front = prefix ?? none
  const bytes = Buffer.allocUnsafe(headerLength + envelopeLength + front.length)
  bytes.write(json, headerLength, envelopeLength, 'utf8')
  front.copy(bytes, headerLength + envelopeLength)
  writeHeader(bytes, {
    own: body.own,
    copy: body.copy,
    envelopeLength,
    prefixLength: front.length,
    bodyLength: body.length,
    metaCrc: crc32(bytes.subarray(headerLength)),
    bodyCrc: body.crc,
  })
  return bytes
}

export function writeLong(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32LE(value % 0x1_0000_0000, at)
  bytes.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4)
}

export function readLong(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 0x1_0000_0000
}
