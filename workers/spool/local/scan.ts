import { crc32 } from 'node:zlib'
import type { Envelope } from '@postern/contract/envelope.ts'
import type { Damage } from '../spool.ts'
import { decodeHeader, decodeMeta, type Header, headerLength, type Meta, partsOf, recordLength } from './record.ts'

/** Bytes in one read. A larger record is read whole if it is shared, and without its body if it has its own segment. */
const windowBytes = 1 << 20

/** A part of a segment in which every byte belongs to a record. If `trusted` is false, its end may be incomplete. */
export type Span = {
  fd: number
  segment: number
  to: number
  /** The marker from the head, the tail or a neighbour. Without it, no records are found after damage. */
  marker: Buffer | undefined
  trusted: boolean
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

export type Window = {
  found: Found[]
  gaps: Gap[]
  /** The position to continue from. Equal to the start: nothing more can be read now. */
  next: number
  /** The bytes read, from `start`. */
  start: number
  bytes: Buffer
}

/** Reads the records from `from` in one window, at most `most`. Never throws because of the data. */
export async function scanWindow(span: Span, from: number, limit: number): Promise<Window> {
  const bytes = await span.read(span.fd, from, Math.max(0, Math.min(windowBytes, span.to - from)))
  const window: Window = { found: [], gaps: [], next: from, start: from, bytes }
  while (window.found.length < limit && window.next < span.to) {
    const before = window.next
    await scanOne(span, window)
    if (window.next === before) break
  }
  return window
}

async function scanOne(span: Span, window: Window): Promise<void> {
  const offset = window.next
  const at = offset - window.start
  const reachesEnd = window.start + window.bytes.length >= span.to
  if (at + headerLength > window.bytes.length && !reachesEnd && at > 0) return
  const header = decodeHeader(window.bytes, at, { segment: span.segment, offset })
  if (!header || !marked(span, window.bytes, at)) return skip(span, window)
  const bytes = recordLength(header)
  if (offset + bytes > span.to) {
    if (span.trusted) giveUp(window, { offset, bytes: span.to - offset, reason: 'missing' })
    return
  }
  if (header.own) return scanOwn(span, window, { offset, bytes, header })
  if (at + bytes > window.bytes.length) {
    if (at > 0 && !reachesEnd) return
    window.bytes = await span.read(span.fd, offset, bytes)
    window.start = offset
    if (window.bytes.length < bytes) return giveUpIfTrusted(span, window, { offset, bytes, reason: 'missing' })
    return takeShared(span, window, { offset, bytes, header })
  }
  takeShared(span, window, { offset, bytes, header })
}

function takeShared(span: Span, window: Window, record: Omit<Found, 'meta'>): void {
  const whole = window.bytes.subarray(record.offset - window.start, record.offset - window.start + record.bytes)
  const opened = openRecord(whole, record.header)
  if (opened.kind === 'damaged') {
    const { reason, envelope } = opened
    giveUpIfTrusted(span, window, { ...spanOf(record), reason, ...(envelope && { envelope }) })
  } else {
    window.found.push({ ...record, meta: opened.meta })
    window.next = record.offset + record.bytes
  }
}

async function scanOwn(span: Span, window: Window, record: Omit<Found, 'meta'>): Promise<void> {
  const { header, offset } = record
  const metaLength = header.envelopeLength + header.prefixLength
  const meta = decodeMeta(header, await span.read(span.fd, offset + partsOf(header).meta, metaLength))
  if (!meta) return giveUpIfTrusted(span, window, { ...spanOf(record), reason: 'envelope' })
  window.found.push({ ...record, meta })
  window.next = offset + record.bytes
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
  const end = window.start + window.bytes.length
  const found = span.marker ? findHeader(span, window, offset + 1) : undefined
  const cutShort = window.bytes.length < Math.min(windowBytes, span.to - window.start)
  // A header may begin in the last bytes of this window.
  const behind = Math.max(offset + 1, end - (headerLength - 1))
  const until = found ?? (cutShort || end >= span.to ? span.to : behind)
  giveUp(window, { offset, bytes: until - offset, reason: cutShort && found === undefined ? 'missing' : 'header' })
}

function findHeader(span: Span, window: Window, from: number): number | undefined {
  const marker = span.marker!
  let at = window.bytes.indexOf(marker, from - window.start)
  while (at >= 0) {
    const offset = window.start + at
    if (decodeHeader(window.bytes, at, { segment: span.segment, offset })) return offset
    at = window.bytes.indexOf(marker, at + 1)
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
