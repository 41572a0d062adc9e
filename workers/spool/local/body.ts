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

/** Returns the bytes of a record that were read lately, verified if it is shared; `undefined` if they are not in memory. */
export type Recall = (position: MessagePosition) => Buffer | undefined

/** Reads messages at their locations. */
export class Bodies {
  readonly #segments: OpenSegments
  readonly #recall: Recall

  constructor(segments: OpenSegments, recall: Recall) {
    this.#segments = segments
    this.#recall = recall
  }

  async envelope(location: Location): Promise<Meta> {
    const position = parseLocation(location)
    return this.#use(position, async (segment) => {
      const header = headerOf(position, await read(segment.fd, position.offset, headerLength))
      return readMeta(segment, position, header)
    })
  }

  /** Reads the whole record into memory and verifies it. */
  async whole(location: Location): Promise<Whole> {
    const position = parseLocation(location)
    return openWhole(position, await this.#record(position))
  }

  async body(location: Location): Promise<Buffer> {
    if (isSmall(location)) return this.#small(parseLocation(location))
    const chunks: Buffer[] = []
    for await (const chunk of this.stream(location)) chunks.push(chunk)
    return Buffer.concat(chunks)
  }

  stream(location: Location): Readable {
    const source = isSmall(location) ? this.#oneChunk(location) : this.#chunks(parseLocation(location))
    return Readable.from(source, { objectMode: false, highWaterMark: chunkBytes })
  }

  async *#oneChunk(location: Location): AsyncGenerator<Buffer> {
    const body = await this.#small(parseLocation(location))
    if (body.length > 0) yield body
  }

  /** Verified once: bytes that were verified when they were read are only copied. */
  async #small(position: MessagePosition): Promise<Buffer> {
    const recalled = this.#recall(position)
    const known = recalled && headerOf(position, recalled)
    if (recalled && known && !known.own) return Buffer.from(bodyOf(recalled, known))
    const bytes = recalled ?? (await this.#record(position))
    const header = headerOf(position, bytes)
    return header.own || !isWhole(bytes, header) ? openWhole(position, bytes).body : bodyOf(bytes, header)
  }

  #record(position: MessagePosition): Promise<Buffer> {
    return this.#use(position, (segment) => read(segment.fd, position.offset, position.bytes))
  }

  async *#chunks(position: MessagePosition): AsyncGenerator<Buffer> {
    let release = () => {}
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    const segment = await new Promise<OpenSegment>((resolve, reject) => {
      this.#use(position, (open) => {
        resolve(open)
        return released
      }).catch(reject)
    })
    try {
      const header = headerOf(position, await read(segment.fd, position.offset, headerLength))
      const meta = await readMeta(segment, position, header)
      if (meta.prefix.length > 0) yield meta.prefix
      yield* verified(segment, { position, header, meta })
    } finally {
      release()
    }
  }

  async #use<T>(position: MessagePosition, use: (segment: OpenSegment) => Promise<T>): Promise<T> {
    try {
      return await this.#segments.use(position, use)
    } catch (error) {
      if (isMissing(error)) throw damaged(position, 'missing')
      throw error
    }
  }
}

/** Yields the body; the last chunk only if the checksum matches. */
async function* verified(
  { fd }: OpenSegment,
  { position, header, meta }: { position: MessagePosition; header: Header; meta: Meta },
): AsyncGenerator<Buffer> {
  let offset = position.offset + partsOf(header).body
  const end = offset + header.bodyLength
  let crc = 0
  while (offset < end) {
    const length = Math.min(chunkBytes, end - offset)
    const chunk = await read(fd, offset, length)
    if (chunk.length < length) throw damaged(position, 'missing', meta)
    crc = crc32(chunk, crc)
    offset += length
    if (offset === end && crc !== header.bodyCrc) throw damaged(position, 'body', meta)
    yield chunk
  }
}

function isSmall(location: Location): boolean {
  return parseLocation(location).bytes <= wholeBytes
}

function headerOf(position: MessagePosition, bytes: Buffer): Header {
  if (bytes.length < headerLength) throw damaged(position, 'missing')
  const header = decodeHeader(bytes, 0, position)
  if (!header || recordLength(header) !== position.bytes) throw damaged(position, 'header')
  return header
}

function openWhole(position: MessagePosition, bytes: Buffer): Whole {
  if (bytes.length < position.bytes) throw damaged(position, 'missing')
  const header = headerOf(position, bytes)
  const opened = header.own ? openOwn(bytes, header) : openRecord(bytes, header)
  if (opened.kind === 'damaged') throw damaged(position, opened.reason, opened)
  return { ...opened, header }
}

/** Prefix and body of a shared record, which are adjacent. */
function bodyOf(bytes: Buffer, header: Header): Buffer {
  return bytes.subarray(headerLength + header.envelopeLength)
}

/** Whether all checksums of a shared record match. Its envelope is not decoded. */
function isWhole(bytes: Buffer, header: Header): boolean {
  const { body } = partsOf(header)
  if (bytes.length < body + header.bodyLength) return false
  return crc32(bytes.subarray(headerLength, body)) === header.metaCrc && crc32(bytes.subarray(body)) === header.bodyCrc
}

function openOwn(bytes: Buffer, header: Header): Opened {
  const parts = partsOf(header)
  const meta = decodeMeta(header, bytes.subarray(parts.meta))
  if (!meta) return { kind: 'damaged', reason: 'envelope' }
  const body = bytes.subarray(parts.body, parts.meta)
  if (crc32(body) !== header.bodyCrc) return { kind: 'damaged', reason: 'body', envelope: meta.envelope }
  return { kind: 'whole', meta, body: Buffer.concat([meta.prefix, body]) }
}

async function readMeta({ fd }: OpenSegment, position: MessagePosition, header: Header): Promise<Meta> {
  const length = header.envelopeLength + header.prefixLength
  const bytes = await read(fd, position.offset + partsOf(header).meta, length)
  if (bytes.length < length) throw damaged(position, 'missing')
  const meta = decodeMeta(header, bytes)
  if (!meta) throw damaged(position, 'envelope')
  return meta
}

function damaged(position: MessagePosition, reason: Damage['reason'], known?: Pick<Damage, 'envelope'>): SpoolDamaged {
  const { writer, segment, offset, bytes } = position
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
