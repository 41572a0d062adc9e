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
  const octets = Buffer.alloc(headLength)
  headMagic.copy(octets)
  octets.writeUInt32LE(head.segment, 8)
  octets.writeUInt32LE(head.own ? 1 : 0, 12)
  octets.writeUInt32LE(head.previous, 16)
  writeLong(octets, head.previousEnd, 20)
  head.marker.copy(octets, 28)
  octets.writeUInt32LE(crc32(octets.subarray(0, 60)), 60)
  return octets
}

/** Decodes a segment head; `undefined` if the bytes are not a complete head. */
export function decodeHead(octets: Buffer): Head | undefined {
  if (octets.length < headLength || !octets.subarray(0, 8).equals(headMagic)) return undefined
  if (crc32(octets.subarray(0, 60)) !== octets.readUInt32LE(60)) return undefined
  return {
    segment: octets.readUInt32LE(8),
    own: octets.readUInt32LE(12) === 1,
    previous: octets.readUInt32LE(16),
    previousEnd: readLong(octets, 20),
    marker: Buffer.from(octets.subarray(28, 36)),
  }
}

/**
 * Returns the format of a segment that another release wrote. Its records would look like damage. `undefined`: the
 * format is the current one, or this is not a segment. A damaged byte in a head of the current format is not another
 * format.
 */
export function foreignFormat(octets: Buffer): number | undefined {
  if (octets.length < headLength || !octets.subarray(0, 7).equals(headMagic.subarray(0, 7))) return undefined
  const format = octets[7] as number
  if (format === headMagic[7]) return undefined
  const asOurs = Buffer.from(octets)
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
function writeHeader(octets: Buffer, header: Header): void {
  octets.writeUInt32LE((header.copy ? copyFlag : 0) | (header.own ? ownFlag : 0), 12)
  octets.writeUInt32LE(header.envelopeLength, 24)
  octets.writeUInt32LE(header.prefixLength, 28)
  writeLong(octets, header.bodyLength, 32)
  octets.writeUInt32LE(header.metaCrc, 40)
  octets.writeUInt32LE(header.bodyCrc, 44)
}

export function sealHeader(octets: Buffer, place: Place): void {
  place.marker.copy(octets)
  octets.writeUInt32LE(place.segment, 8)
  writeLong(octets, place.offset, 16)
  octets.writeUInt32LE(crc32(octets.subarray(0, 48)), 48)
}

/**
 * Decodes a header at `at`; `undefined` if no complete header for this place begins there. Without a marker, any marker
 * is accepted.
 */
export function decodeHeader(octets: Buffer, at: number, place: Omit<Place, 'marker'>): Header | undefined {
  if (octets.length - at < headerLength) return undefined
  if (octets.readUInt32LE(at + 8) !== place.segment || readLong(octets, at + 16) !== place.offset) return undefined
  if (crc32(octets.subarray(at, at + 48)) !== octets.readUInt32LE(at + 48)) return undefined
  const flags = octets.readUInt32LE(at + 12)
  return {
    own: (flags & ownFlag) !== 0,
    copy: (flags & copyFlag) !== 0,
    envelopeLength: octets.readUInt32LE(at + 24),
    prefixLength: octets.readUInt32LE(at + 28),
    bodyLength: readLong(octets, at + 32),
    metaCrc: octets.readUInt32LE(at + 40),
    bodyCrc: octets.readUInt32LE(at + 44),
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
export function decodeMeta(header: Header, octets: Buffer): Meta | undefined {
  if (crc32(octets) !== header.metaCrc) return undefined
  try {
    const json = octets.toString('utf8', 0, header.envelopeLength)
    return { envelope: JSON.parse(json) as Envelope, json, prefix: octets.subarray(header.envelopeLength) }
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
  const octets = Buffer.allocUnsafe(headerLength + envelopeLength + front.length)
  octets.write(json, headerLength, envelopeLength, 'utf8')
  front.copy(octets, headerLength + envelopeLength)
  writeHeader(octets, {
    own: body.own,
    copy: body.copy,
    envelopeLength,
    prefixLength: front.length,
    bodyLength: body.length,
    metaCrc: crc32(octets.subarray(headerLength)),
    bodyCrc: body.crc,
  })
  return octets
}

export function writeLong(octets: Buffer, value: number, at: number): void {
  octets.writeUInt32LE(value % 0x1_0000_0000, at)
  octets.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4)
}

export function readLong(octets: Buffer, at: number): number {
  return octets.readUInt32LE(at) + octets.readUInt32LE(at + 4) * 0x1_0000_0000
}
