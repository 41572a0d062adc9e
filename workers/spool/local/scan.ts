import { crc32 } from 'node:zlib'
import type { Envelope } from '@postern/contract/envelope.ts'
import type { Damage } from '../spool.ts'
import { decodeHeader, decodeMeta, type Header, headerLength, type Meta, partsOf, recordLength } from './record.ts'

/** Bytes in one window, and in one read of it. A larger record is read whole, or without its body: see `Span.bodies`. */
const windowBytes = 1 << 20
const pieceBytes = 128 << 10
/** The bodies of larger records are verified `later`. */
const largeBytes = 16 << 10
/** Bytes in one read where large records are expected: header, envelope and prefix of most. */
const startBytes = 4 << 10

/** A part of a segment in which every byte belongs to a record. If `trusted` is false, its end may be incomplete. */
export type Span = {
  fd: number
  segment: number
  to: number
  /** The marker from the head, the tail or a neighbour. Without it, no records are found after damage. */
  marker: Buffer | undefined
  trusted: boolean
  /**
   * When the bodies of large shared records are verified: `now`, or `later` by whoever reads them. Later only for
   * records that a living writer has just synced: after a crash a complete header says nothing about the body. A body in
   * a segment of its own is always verified later.
   */
  bodies: 'now' | 'later'
  read: Read
}

type Read = (fd: number, position: number, bytes: number) => Promise<Buffer>

export type Found = {
  offset: number
  bytes: number
  header: Header
  meta: Meta
}

export type Gap = {
  offset: number
  bytes: number
  reason: Damage['reason']
  envelope?: Envelope
}

/** Bytes read at once. */
export type Piece = {
  start: number
  bytes: Buffer
  /** The segment ended before all that was asked for. */
  isCutShort: boolean
  /** Number of shared records in it that were verified whole. */
  verified: number
}

export type Window = {
  found: Found[]
  gaps: Gap[]
  /** The position to continue from. Equal to the start: nothing more can be read now. */
  next: number
  /** The bytes read last, and those read before them. */
  piece: Piece
  earlier: Piece[]
  /** Bytes that may still be read. */
  left: number
  /** Whether the last record is large, so that the next one probably is, too. */
  isLarge: boolean
}

/** Reads the records from `from`, at most `limit`. `isLarge`: of the window before. Never throws because of the data. */
export async function scanWindow(span: Span, from: number, limit: number, isLarge = false): Promise<Window> {
  const piece = await readPiece(span, from, isLarge ? startBytes : pieceBytes)
  const left = windowBytes - piece.bytes.length
  const window: Window = { found: [], gaps: [], next: from, piece, earlier: [], left, isLarge }
  while (window.found.length < limit && window.next < span.to) {
    const { next, piece } = window
    await scanOne(span, window)
    if (window.next === next && window.piece === piece) break
  }
  return window
}

async function readPiece(span: Span, start: number, most: number): Promise<Piece> {
  const wanted = Math.max(0, Math.min(most, span.to - start))
  const bytes = await span.read(span.fd, start, wanted)
  return { start, bytes, isCutShort: bytes.length < wanted, verified: 0 }
}

/** Goes on with the piece at the next record. */
async function readOn(span: Span, window: Window, most: number): Promise<void> {
  window.earlier.push(window.piece)
  window.piece = await readPiece(span, window.next, most)
  window.left -= window.piece.bytes.length
}

async function scanOne(span: Span, window: Window): Promise<void> {
  const { piece, next: offset } = window
  const at = offset - piece.start
  const end = piece.start + piece.bytes.length
  const more = async () => {
    if (window.left > 0) await readOn(span, window, window.isLarge ? startBytes : pieceBytes)
  }
  // The body of the record before may have been passed over.
  if (offset > end || (at + headerLength > piece.bytes.length && end < span.to && at > 0)) return more()
  const header = decodeHeader(piece.bytes, at, { segment: span.segment, offset })
  if (!header || !marked(span, piece.bytes, at)) return skip(span, window)
  const bytes = recordLength(header)
  if (offset + bytes > span.to) {
    if (span.trusted) giveUp(window, { offset, bytes: span.to - offset, reason: 'missing' })
    return
  }
  const record = { offset, bytes, header }
  if (header.own) return takeStart(span, window, record)
  if (at + bytes <= piece.bytes.length) return takeShared(span, window, record)
  if (span.bodies === 'later' && bytes > largeBytes) return takeStart(span, window, record)
  if (at > 0 && end < span.to) return more()
  await readOn(span, window, bytes)
  if (window.piece.isCutShort) return giveUpIfTrusted(span, window, { offset, bytes, reason: 'missing' })
  takeShared(span, window, record)
}

function takeShared(span: Span, window: Window, record: Omit<Found, 'meta'>): void {
  const at = record.offset - window.piece.start
  const whole = window.piece.bytes.subarray(at, at + record.bytes)
  const opened = openRecord(whole, record.header)
  if (opened.kind === 'damaged') {
    const { reason, envelope } = opened
    giveUpIfTrusted(span, window, { ...spanOf(record), reason, ...(envelope && { envelope }) })
  } else {
    window.piece.verified++
    take(window, { ...record, meta: opened.meta })
  }
}

/** Takes a record without its body. */
async function takeStart(span: Span, window: Window, record: Omit<Found, 'meta'>): Promise<void> {
  const { header, offset } = record
  const metaAt = offset + partsOf(header).meta
  const metaEnd = metaAt + header.envelopeLength + header.prefixLength
  const { start, bytes: read } = window.piece
  const bytes =
    metaEnd <= start + read.length
      ? read.subarray(metaAt - start, metaEnd - start)
      : await span.read(span.fd, metaAt, metaEnd - metaAt)
  const meta = decodeMeta(header, bytes)
  if (!meta) return giveUpIfTrusted(span, window, { ...spanOf(record), reason: 'envelope' })
  take(window, { ...record, meta })
}

function take(window: Window, record: Found): void {
  window.found.push(record)
  window.next = record.offset + record.bytes
  window.isLarge = record.bytes > largeBytes
}

export type Opened =
  | { kind: 'whole'; meta: Meta; body: Buffer }
  | { kind: 'damaged'; reason: 'envelope' | 'body'; envelope?: Envelope }

/** Verifies a whole shared record. `body` is prefix and body, which are adjacent. */
export function openRecord(bytes: Buffer, header: Header): Opened {
  const bodyAt = partsOf(header).body
  const meta = decodeMeta(header, bytes.subarray(headerLength, bodyAt))
  if (!meta) return { kind: 'damaged', reason: 'envelope' }
  if (crc32(bytes.subarray(bodyAt)) !== header.bodyCrc) {
    return { kind: 'damaged', reason: 'body', envelope: meta.envelope }
  }
  return { kind: 'whole', meta, body: bytes.subarray(headerLength + header.envelopeLength) }
}

function marked(span: Span, bytes: Buffer, at: number): boolean {
  // The first valid header at a position where a record must begin reveals the marker.
  span.marker ??= Buffer.from(bytes.subarray(at, at + 8))
  return span.marker.compare(bytes, at, at + 8) === 0
}

/** Skips to the next position where a record begins. */
function skip(span: Span, window: Window): void {
  if (!span.trusted) return
  const offset = window.next
  const { start, bytes, isCutShort } = window.piece
  const end = start + bytes.length
  const found = span.marker ? findHeader(span, window.piece, offset + 1) : undefined
  // A header may begin in the last bytes of this piece.
  const behind = Math.max(offset + 1, end - (headerLength - 1))
  const until = found ?? (isCutShort || end >= span.to ? span.to : behind)
  giveUp(window, { offset, bytes: until - offset, reason: isCutShort && found === undefined ? 'missing' : 'header' })
}

function findHeader(span: Span, { start, bytes }: Piece, from: number): number | undefined {
  const marker = span.marker!
  let at = bytes.indexOf(marker, from - start)
  while (at >= 0) {
    const offset = start + at
    if (decodeHeader(bytes, at, { segment: span.segment, offset })) return offset
    at = bytes.indexOf(marker, at + 1)
  }
  return undefined
}

function giveUpIfTrusted(span: Span, window: Window, gap: Gap): void {
  if (span.trusted) giveUp(window, gap)
}

function giveUp(window: Window, gap: Gap): void {
  const last = window.gaps.at(-1)
  if (last && last.reason === gap.reason && !gap.envelope && last.offset + last.bytes === gap.offset) {
    last.bytes += gap.bytes
  } else {
    window.gaps.push(gap)
  }
  window.next = gap.offset + gap.bytes
}

function spanOf(record: { offset: number; bytes: number }): { offset: number; bytes: number } {
  return { offset: record.offset, bytes: record.bytes }
}
