import * as fs from 'node:fs'
import { unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { Envelope } from '@postern/contract/envelope.ts'
import { uuidv7 } from 'uuidv7'
import { type MessageWriter, SpoolFailure, SpoolFull, type Stored } from '../spool.ts'
import { close, open, read, sync, write } from './disk.ts'
import { unfinishedSuffix } from './file-names.ts'
import type { FreeSpace } from './free-space.ts'
import { type Entry, refusal } from './group-commit.ts'
import { encodeStart, headerLength, headLength } from './record.ts'

/** Bytes that may wait for the disk before the source has to wait. */
const waterMark = 256 << 10

/** Bytes in one read. */
const readBytes = 64 << 10

/** Dependencies of a message writer on its writer. */
export type MessageWriterOptions = {
  directory: string
  freeSpace: FreeSpace
  /** Messages up to this many bytes share a segment. */
  sharedBytes: number
  append: (entry: Entry) => void
  /** Called when the message writer is committed or aborted. */
  ended: (messageWriter: LocalMessageWriter) => void
  /** Registers work that must settle before the writer closes. */
  busy: (doing: Promise<unknown>) => void
}

/** Collects a small message in memory, and streams a large one into its own file. */
export class LocalMessageWriter implements MessageWriter {
  size = 0
  readonly #home: MessageWriterOptions
  readonly #copy: boolean
  #chunks: Buffer[] = []
  #file: OwnFile | undefined
  #state: 'open' | 'committed' | 'aborted' = 'open'
  /** Bytes counted as pending in the free space. Bytes already in the file do not count. */
  #held: number
  #written = 0
  #failure: Error | undefined

  constructor(home: MessageWriterOptions, options: { expected: number; copy: boolean }) {
    this.#home = home
    this.#copy = options.copy
    this.#held = options.expected
    home.freeSpace.pending += this.#held
  }

  append(chunk: Buffer | readonly Buffer[]): Promise<void> | undefined {
    if (this.#state !== 'open')
      return Promise.reject(this.#failure ?? new SpoolFailure('append: the message writer is closed'))
    const pieces = Buffer.isBuffer(chunk) ? [chunk] : chunk
    for (const piece of pieces) this.size += piece.length
    if (!this.#hold()) return this.#fail(new SpoolFull('no room for a message of this size'))
    if (this.#file) {
      this.#file.push(pieces)
      return this.#flow()
    }
    for (const piece of pieces) this.#chunks.push(piece)
    if (this.size <= this.#home.sharedBytes) return undefined
    this.#file = new OwnFile(join(this.#home.directory, uuidv7() + unfinishedSuffix), (bytes) => this.#wrote(bytes))
    const chunks = this.#chunks
    this.#chunks = []
    this.#file.push(chunks)
    return this.#flow()
  }

  commit(envelope: Envelope, prefix?: Buffer): Promise<Stored> {
    if (this.#state !== 'open')
      return Promise.reject(this.#failure ?? new SpoolFailure('commit: the message writer is closed'))
    if (!this.#file) return this.#commitShared(envelope, prefix)
    const committing = this.#commitOwn(this.#file, envelope, prefix)
    this.#home.busy(committing)
    return committing
  }

  async *read(): AsyncGenerator<Buffer> {
    if (this.#state !== 'open') throw this.#failure ?? new SpoolFailure('read: the message writer is closed')
    if (this.#file) yield* this.#file.read()
    else yield* this.#chunks
  }

  abort(): void {
    if (this.#state !== 'open') return
    this.#end('aborted')
    if (this.#file) this.#home.busy(this.#file.discard())
  }

  #commitShared(envelope: Envelope, prefix: Buffer | undefined): Promise<Stored> {
    const entry = { envelope, prefix, body: this.#chunks, copy: this.#copy }
    this.#end('committed')
    return new Promise((resolve, reject) => {
      this.#home.append(sharedEntry(entry, { resolve, reject, freeSpace: this.#home.freeSpace }))
    })
  }

  async #commitOwn(file: OwnFile, envelope: Envelope, prefix: Buffer | undefined): Promise<Stored> {
    const body = { length: this.size, crc: file.crc, own: true, copy: this.#copy }
    const header = encodeStart(envelope, prefix, body)
    this.#state = 'committed'
    try {
      file.push([header.subarray(headerLength)])
      await file.finish()
    } catch (error) {
      this.#end('aborted')
      this.#home.busy(file.discard())
      throw refusal(error as Error)
    }
    this.#end('committed')
    const fd = file.fd!
    const size = (prefix?.length ?? 0) + this.size
    const bytes = header.length + this.size
    return new Promise((resolve, reject) => {
      this.#home.append({ kind: 'own', id: envelope.id, size, bytes, file: file.path, fd, header, resolve, reject })
    })
  }

  #flow(): Promise<void> | undefined {
    return this.#file!.pressed()?.catch((error) => this.#fail(refusal(error)))
  }

  #hold(): boolean {
    const more = this.size - this.#written - this.#held
    if (more <= 0) return true
    const { freeSpace } = this.#home
    if (!(this.#copy ? freeSpace.hasForCopy(more) : freeSpace.has(more))) return false
    freeSpace.pending += more
    this.#held += more
    return true
  }

  #wrote(bytes: number): void {
    const held = Math.min(bytes, this.#held)
    this.#held -= held
    this.#written += bytes
    this.#home.freeSpace.wrote(held)
  }

  #fail(error: Error): Promise<void> {
    this.#failure ??= error
    this.abort()
    return Promise.reject(error)
  }

  #end(state: 'committed' | 'aborted'): void {
    this.#state = state
    this.#home.freeSpace.pending -= this.#held
    this.#held = 0
    this.#chunks = []
    this.#home.ended(this)
  }
}

export type SharedMessage = {
  envelope: Envelope
  prefix: Buffer | undefined
  body: readonly Buffer[]
  copy: boolean
}

/** Creates the record of a small message, and counts it as pending until it is durable or refused. */
export function sharedEntry(
  message: SharedMessage,
  then: { resolve: (stored: Stored) => void; reject: (error: Error) => void; freeSpace: FreeSpace },
): Entry {
  let length = 0
  let crc = 0
  for (const chunk of message.body) {
    length += chunk.length
    crc = crc32(chunk, crc)
  }
  const start = encodeStart(message.envelope, message.prefix, { length, crc, own: false, copy: message.copy })
  const bytes = start.length + length
  then.freeSpace.pending += bytes
  return {
    kind: 'shared',
    id: message.envelope.id,
    size: length + (message.prefix?.length ?? 0),
    bytes,
    start,
    body: message.body,
    resolve: then.resolve,
    reject: then.reject,
  }
}

/**
 * A large message's file while it grows. It is not a segment yet, and is removed at the next start if it never becomes
 * one.
 */
class OwnFile {
  readonly path: string
  crc = 0
  fd: number | undefined
  #position = headLength + headerLength
  #queue: Buffer[] = []
  #bytes = 0
  #failure: Error | undefined
  #flying: Promise<void> | undefined
  #discarded = false
  readonly #wrote: (bytes: number) => void

  constructor(path: string, wrote: (bytes: number) => void) {
    this.path = path
    this.#wrote = wrote
  }

  push(chunks: readonly Buffer[]): void {
    for (const chunk of chunks) {
      this.crc = crc32(chunk, this.crc)
      this.#queue.push(chunk)
      this.#bytes += chunk.length
    }
    if (!this.#failure) this.#flying ??= this.#fly()
  }

  /** Returns `undefined` to continue, or a promise if so much waits for the disk that the source should wait too. */
  pressed(): Promise<void> | undefined {
    return this.#failure || this.#bytes > waterMark ? this.#drained() : undefined
  }

  /** Resolves when everything is on stable storage. */
  async finish(): Promise<void> {
    await this.#drained()
    await sync(this.fd!)
  }

  /** Reads through its own descriptor, because the writing one is write-only. */
  async *read(): AsyncGenerator<Buffer> {
    try {
      await this.#drained()
      const fd = await open(this.path, fs.constants.O_RDONLY)
      try {
        for (let at = headLength + headerLength; at < this.#position; ) {
          const chunk = await read(fd, at, Math.min(readBytes, this.#position - at))
          if (chunk.length === 0) throw new Error('the file is shorter than what was written')
          at += chunk.length
          yield chunk
        }
      } finally {
        await close(fd)
      }
    } catch (error) {
      throw refusal(error as Error)
    }
  }

  /** Never fails. A file that cannot be removed now is removed at the next start. */
  async discard(): Promise<void> {
    this.#discarded = true
    this.#queue = []
    await this.#flying
    if (this.fd !== undefined) await close(this.fd)
    this.fd = undefined
    await unlink(this.path).catch(() => {})
  }

  async #drained(): Promise<void> {
    await this.#flying
    if (this.#failure) throw this.#failure
  }

  /** Writes until no data waits. The next caller gets any error. */
  async #fly(): Promise<void> {
    const { O_CREAT, O_EXCL, O_WRONLY } = fs.constants
    try {
      this.fd ??= await open(this.path, O_CREAT | O_EXCL | O_WRONLY)
      while (this.#queue.length > 0 && !this.#discarded) {
        const buffers = this.#queue
        const bytes = this.#bytes
        this.#queue = []
        await write(this.fd, buffers, this.#position)
        this.#position += bytes
        this.#bytes -= bytes
        this.#wrote(bytes)
      }
    } catch (error) {
      this.#failure = error as Error
      this.#queue = []
    }
    this.#flying = undefined
  }
}
