import { randomBytes } from 'node:crypto'
import { unlink } from 'node:fs/promises'
import { resolve } from 'node:path'
import {
  type Cursor,
  type Message,
  type MessageWriter,
  SpoolFailure,
  SpoolFull,
  type SpoolWriter,
  type Stored,
  type Trouble,
} from '../spool.ts'
import { isMissing, syncDirectory } from './disk.ts'
import { checkWriterName, cursorText, segmentFile } from './file-names.ts'
import { type AskFree, askFree, FreeSpace } from './free-space.ts'
import { GroupCommit, refusal } from './group-commit.ts'
import { type Lock, lockDirectory } from './lock.ts'
import { LocalMessageWriter, type MessageWriterOptions, sharedEntry } from './message-writer.ts'
import { recover } from './recover.ts'
import { TailWriter } from './tail.ts'

export type LocalWriterOptions = {
  /** The spool's directory, shared by all writers: `$POSTERN_DATA_DIR/spool`. Created if missing. */
  directory: string
  /** The writer's name and subdirectory: `smtp-1`, `queue-1`. */
  name: string
  /** Bytes of the disk that are never filled with mail; default 128 MiB. Below it `hasRoom` is false. */
  reserve?: number
  /** A new segment starts when the current one has this many bytes (default 64 MiB) or this age (default 10 minutes). */
  segmentBytes?: number
  segmentAgeMs?: number
  /** Messages up to this many bytes share a segment; default 1 MiB. */
  sharedBytes?: number
  /** Reports a problem to the operator. */
  trouble?: (trouble: Trouble) => void
  /** Free bytes of the file system; for tests. */
  free?: AskFree
}

/** Opens a writer by name. Throws SpoolInUse if another process has it, and any file-system error. */
export async function openLocalWriter(options: LocalWriterOptions): Promise<LocalWriter> {
  checkWriterName(options.name)
  const trouble = options.trouble ?? (() => {})
  const directory = resolve(options.directory, options.name)
  const lock = lockDirectory(directory)
  const freeSpace = new FreeSpace({ directory, reserve: options.reserve ?? 128 << 20, ask: options.free ?? askFree })
  try {
    await new Promise<void>((done) => freeSpace.refresh(done))
    const { empty, ...found } = await recover(directory, options.name, trouble)
    const groupCommit = new GroupCommit({
      ...found,
      directory,
      writer: options.name,
      marker: found.marker ?? randomBytes(8),
      segmentBytes: options.segmentBytes ?? 64 << 20,
      segmentAgeMs: options.segmentAgeMs ?? 600_000,
      freeSpace,
      tail: await TailWriter.open(directory),
      trouble,
    })
    if (await isOpened(groupCommit)) await removeSegments(directory, empty)
    await syncDirectory(resolve(options.directory))
    return new LocalWriter({ ...options, directory }, { groupCommit, lock, freeSpace })
  } catch (error) {
    freeSpace.close()
    lock.release()
    throw error
  }
}

async function removeSegments(directory: string, segments: readonly number[]): Promise<void> {
  for (const segment of segments) {
    await unlink(segmentFile(directory, segment)).catch((error) => {
      // A reader has just reclaimed it.
      if (!isMissing(error)) throw error
    })
  }
}

/**
 * Returns whether the first segment was opened. On a full disk the writer still starts and reports no room until there
 * is some.
 */
async function isOpened(groupCommit: GroupCommit): Promise<boolean> {
  try {
    await groupCommit.open()
    return true
  } catch (error) {
    if (refusal(error as Error) instanceof SpoolFull) return false
    throw error
  }
}

type Parts = {
  groupCommit: GroupCommit
  lock: Lock
  freeSpace: FreeSpace
}

export class LocalWriter implements SpoolWriter {
  readonly name: string
  readonly #parts: Parts
  readonly #home: MessageWriterOptions
  readonly #unfinished = new Set<LocalMessageWriter>()
  readonly #busy = new Set<Promise<unknown>>()
  readonly #ageing: NodeJS.Timeout
  #closed = false

  constructor(options: LocalWriterOptions, parts: Parts) {
    this.name = options.name
    this.#parts = parts
    this.#home = {
      directory: options.directory,
      freeSpace: parts.freeSpace,
      sharedBytes: options.sharedBytes ?? 1 << 20,
      append: (entry) => parts.groupCommit.append(entry),
      ended: (messageWriter) => this.#unfinished.delete(messageWriter),
      busy: (doing) => {
        this.#busy.add(doing)
        const done = () => this.#busy.delete(doing)
        doing.then(done, done)
      },
    }
    this.#ageing = setInterval(() => parts.groupCommit.rollIfOld(), Math.min(options.segmentAgeMs ?? 600_000, 10_000))
    this.#ageing.unref()
  }

  hasRoom(bytes = 0): boolean {
    return !this.#closed && this.#parts.freeSpace.has(bytes)
  }

  cursor(): Cursor {
    const { segment, end } = this.#parts.groupCommit.published
    return cursorText(segment, end)
  }

  load(): { pending: number; free: number; reserve: number } {
    const { freeSpace } = this.#parts
    return { pending: freeSpace.pending, free: freeSpace.free(), reserve: freeSpace.reserve }
  }

  write(message: Message): Promise<Stored> {
    return this.#store(message, false)
  }

  /** Like `write`, marked as a copy, which readers skip. It may use half of the reserve. */
  writeCopy(message: Message): Promise<Stored> {
    return this.#store(message, true)
  }

  begin(expected = 0): MessageWriter {
    return this.#messageWriter(expected, false)
  }

  /** Like `begin`, marked as a copy. */
  beginCopy(expected: number): MessageWriter {
    return this.#messageWriter(expected, true)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    clearInterval(this.#ageing)
    for (const messageWriter of this.#unfinished) messageWriter.abort()
    await Promise.allSettled(this.#busy)
    await this.#parts.groupCommit.close()
    this.#parts.freeSpace.close()
    this.#parts.lock.release()
  }

  #store(message: Message, copy: boolean): Promise<Stored> {
    const body = Buffer.isBuffer(message.body) ? [message.body] : message.body
    let bytes = 0
    for (const chunk of body) bytes += chunk.length
    if (bytes > this.#home.sharedBytes) return this.#storeLarge({ ...message, body }, copy)
    const refused = this.#refusal(bytes, copy)
    if (refused) return Promise.reject(refused)
    const { envelope, prefix } = message
    return new Promise((done, reject) => {
      const then = { resolve: done, reject, freeSpace: this.#parts.freeSpace }
      this.#parts.groupCommit.append(sharedEntry({ envelope, prefix, body, copy }, then))
    })
  }

  async #storeLarge(message: Message & { body: readonly Buffer[] }, copy: boolean): Promise<Stored> {
    const messageWriter = this.#messageWriter(0, copy)
    for (const chunk of message.body) await messageWriter.append(chunk)
    return messageWriter.commit(message.envelope, message.prefix)
  }

  #messageWriter(expected: number, copy: boolean): LocalMessageWriter {
    const refused = this.#refusal(expected, copy)
    if (refused) throw refused
    const messageWriter = new LocalMessageWriter(this.#home, { expected, copy })
    this.#unfinished.add(messageWriter)
    return messageWriter
  }

  #refusal(bytes: number, copy: boolean): Error | undefined {
    const { freeSpace } = this.#parts
    if (this.#closed) return new SpoolFailure(`spool writer "${this.name}" is closed`)
    if (copy ? freeSpace.hasForCopy(bytes) : freeSpace.has(bytes)) return undefined
    return new SpoolFull(`no room for ${bytes} bytes: ${Math.max(0, freeSpace.free())} are free beyond the reserve`)
  }
}
