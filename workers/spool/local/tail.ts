import * as fs from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { close, isMissing, open, read, writeAll } from './disk.ts'
import { readLong, writeLong } from './record.ts'

/**
 * A writer's small file that states how far its segments are durable. Readers stop there, because data that is written
 * but not synced is not accepted mail yet. The file is overwritten in place and not synced; after a crash the writer
 * scans its segments instead.
 */
export type Tail = {
  /** The segment being written. All earlier ones are sealed. */
  segment: number
  /** The end of its last durable record. */
  offset: number
  /** The writer's marker, stored here in addition to the heads. */
  marker: Buffer
}

const tailLength = 40
const magic = Buffer.from('PSTNTAIL', 'latin1')

export function tailFile(directory: string): string {
  return join(directory, 'tail')
}

function encodeTail(tail: Tail): Buffer {
  const bytes = Buffer.alloc(tailLength)
  magic.copy(bytes)
  bytes.writeUInt32LE(tail.segment, 8)
  writeLong(bytes, tail.offset, 12)
  tail.marker.copy(bytes, 20)
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 36)), 36)
  return bytes
}

function decodeTail(bytes: Buffer): Tail | undefined {
  if (bytes.length < tailLength || !bytes.subarray(0, 8).equals(magic)) return undefined
  if (crc32(bytes.subarray(0, 36)) !== bytes.readUInt32LE(36)) return undefined
  return {
    segment: bytes.readUInt32LE(8),
    offset: readLong(bytes, 12),
    marker: Buffer.from(bytes.subarray(20, 28)),
  }
}

/** Reads the tail; `undefined` if there is none or it is incomplete (being overwritten, or damaged). */
export async function readTail(fd: number): Promise<Tail | undefined> {
  return decodeTail(await read(fd, 0, tailLength))
}

/** Opens the tail; `undefined` if this writer has none yet. */
export async function openTail(directory: string): Promise<number | undefined> {
  try {
    return await open(tailFile(directory), fs.constants.O_RDONLY)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

export async function readTailOf(directory: string): Promise<Tail | undefined> {
  const fd = await openTail(directory)
  if (fd === undefined) return undefined
  try {
    return await readTail(fd)
  } finally {
    await close(fd)
  }
}

/** Under load, one write and one wake-up of each reader cover the commits of this many milliseconds. */
const restMs = 10

/** Publishes in the background how far data is durable. The newest value is written last; after a quiet period, at once. */
export class TailWriter {
  readonly #fd: number
  #next: Tail | undefined
  #writing = false
  #idle: (() => void)[] = []

  private constructor(fd: number) {
    this.#fd = fd
  }

  static async open(directory: string): Promise<TailWriter> {
    return new TailWriter(await open(tailFile(directory), fs.constants.O_RDWR | fs.constants.O_CREAT))
  }

  publish(tail: Tail): void {
    this.#next = tail
    if (!this.#writing) this.#writeNext()
  }

  async close(): Promise<void> {
    if (this.#writing) await new Promise<void>((resolve) => this.#idle.push(resolve))
    await close(this.#fd)
  }

  #writeNext(): void {
    const tail = this.#next
    this.#next = undefined
    if (!tail) {
      this.#writing = false
      for (const resolve of this.#idle.splice(0)) resolve()
      return
    }
    this.#writing = true
    // A failure is not reported: the next value is written in the same way, and a reader that waits too long reads the
    // segment itself.
    writeAll(this.#fd, [encodeTail(tail)], 0, () => setTimeout(() => this.#writeNext(), restMs))
  }
}
