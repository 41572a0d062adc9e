import { Readable } from 'node:stream'
import { crc32 } from 'node:zlib'
import { type Damage, type Location, SpoolDamaged } from '../spool.ts'
import { isMissing, read } from './disk.ts'
import { type MessagePosition, parseLocation, segmentText } from './file-names.ts'
import { decodeHeader, decodeMeta, type Header, headerLength, type Meta, partsOf, recordLength } from './record.ts'
import { type Opened, openRecord } from './scan.ts'
import type { OpenSegment, OpenSegments } from './segments.ts'

/** Records up to this many bytes are read and verified as a whole. */
const wholeBytes = 3 << 19
const chunkBytes = 256 << 10

/** A verified small message. */
export type Whole = Extract<Opened, { kind: 'whole' }> & { header: Header }

/** Returns recently read bytes by position; `undefined` if they are not in memory. */
export type Recall = (spot: MessagePosition) => Buffer | undefined

/** Reads messages at their locations. */
export class Bodies {
  readonly #segments: OpenSegments
  readonly #recall: Recall

  constructor(segments: OpenSegments, recall: Recall) {
    this.#segments = segments
    this.#recall = recall
  }

  async envelope(location: Location): Promise<Meta> {
    const spot = parseLocation(location)
    return this.#use(spot, async (segment) => {
      const header = headerOf(spot, await read(segment.fd, spot.offset, headerLength))
      return readMeta(segment, spot, header)
    })
  }

  /** Reads the whole record into memory and verifies it. */
  async whole(location: Location): Promise<Whole> {
    const spot = parseLocation(location)
    const recalled = this.#recall(spot)
    if (recalled) return openWhole(spot, recalled)
    return this.#use(spot, async (segment) => openWhole(spot, await read(segment.fd, spot.offset, spot.bytes)))
  }

  async body(location: Location): Promise<Buffer> {
    if (isSmall(location)) return (await this.whole(location)).body
    const chunks: Buffer[] = []
    for await (const chunk of this.stream(location)) chunks.push(chunk)
    return Buffer.concat(chunks)
  }

  stream(location: Location): Readable {
    const source = isSmall(location) ? this.#oneChunk(location) : this.#chunks(parseLocation(location))
    return Readable.from(source, { objectMode: false, highWaterMark: chunkBytes })
  }

  async *#oneChunk(location: Location): AsyncGenerator<Buffer> {
    const { body } = await this.whole(location)
    if (body.length > 0) yield body
  }

  async *#chunks(spot: MessagePosition): AsyncGenerator<Buffer> {
    let release = () => {}
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    const segment = await new Promise<OpenSegment>((resolve, reject) => {
      this.#use(spot, (open) => {
        resolve(open)
        return released
      }).catch(reject)
    })
    try {
      const header = headerOf(spot, await read(segment.fd, spot.offset, headerLength))
      const meta = await readMeta(segment, spot, header)
      if (meta.prefix.length > 0) yield meta.prefix
      yield* verified(segment, { spot, header, meta })
    } finally {
      release()
    }
  }

  async #use<T>(spot: MessagePosition, use: (segment: OpenSegment) => Promise<T>): Promise<T> {
    try {
      return await this.#segments.use(spot, use)
    } catch (error) {
      if (isMissing(error)) throw damaged(spot, 'missing')
      throw error
    }
  }
}

/** Yields the body; the last chunk only if the checksum matches. */
async function* verified(
  { fd }: OpenSegment,
  { spot, header, meta }: { spot: MessagePosition; header: Header; meta: Meta },
): AsyncGenerator<Buffer> {
  let position = spot.offset + partsOf(header).body
  const end = position + header.bodyLength
  let crc = 0
  while (position < end) {
    const length = Math.min(chunkBytes, end - position)
    const chunk = await read(fd, position, length)
    if (chunk.length < length) throw damaged(spot, 'missing', meta)
    crc = crc32(chunk, crc)
    position += length
    if (position === end && crc !== header.bodyCrc) throw damaged(spot, 'body', meta)
    yield chunk
  }
}

function isSmall(location: Location): boolean {
  return parseLocation(location).bytes <= wholeBytes
}

function headerOf(spot: MessagePosition, bytes: Buffer): Header {
  if (bytes.length < headerLength) throw damaged(spot, 'missing')
  const header = decodeHeader(bytes, 0, spot)
  if (!header || recordLength(header) !== spot.bytes) throw damaged(spot, 'header')
  return header
}

function openWhole(spot: MessagePosition, bytes: Buffer): Whole {
  if (bytes.length < spot.bytes) throw damaged(spot, 'missing')
  const header = headerOf(spot, bytes)
  const opened = header.own ? openOwn(bytes, header) : openRecord(bytes, header)
  if (opened.kind === 'damaged') throw damaged(spot, opened.reason, opened)
  return { ...opened, header }
}

function openOwn(bytes: Buffer, header: Header): Opened {
  const parts = partsOf(header)
  const meta = decodeMeta(header, bytes.subarray(parts.meta))
  if (!meta) return { kind: 'damaged', reason: 'envelope' }
  const body = bytes.subarray(parts.body, parts.meta)
  if (crc32(body) !== header.bodyCrc) return { kind: 'damaged', reason: 'body', envelope: meta.envelope }
  return { kind: 'whole', meta, body: Buffer.concat([meta.prefix, body]) }
}

async function readMeta({ fd }: OpenSegment, spot: MessagePosition, header: Header): Promise<Meta> {
  const length = header.envelopeLength + header.prefixLength
  const bytes = await read(fd, spot.offset + partsOf(header).meta, length)
  if (bytes.length < length) throw damaged(spot, 'missing')
  const meta = decodeMeta(header, bytes)
  if (!meta) throw damaged(spot, 'envelope')
  return meta
}

function damaged(spot: MessagePosition, reason: Damage['reason'], known?: Pick<Damage, 'envelope'>): SpoolDamaged {
  const { writer, segment, offset, bytes } = spot
  const envelope = known?.envelope
  return new SpoolDamaged({
    writer,
    segment: segmentText(writer, segment),
    offset,
    bytes,
    reason,
    ...(envelope && { envelope }),
  })
}
