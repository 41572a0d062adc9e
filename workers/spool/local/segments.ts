import * as fs from 'node:fs'
import { readdir } from 'node:fs/promises'
import { SpoolFailure } from '../spool.ts'
import { close, isMissing, open, read, sizeOf } from './disk.ts'
import { type SegmentOf, segmentFile, segmentNumber, segmentText } from './file-names.ts'
import { decodeHead, foreignFormat, type Head, headLength } from './record.ts'

/** Returns the numbers of a writer's segments in ascending order; none if the directory is gone. */
export async function listSegments(directory: string): Promise<number[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true })
    return entries
      .map((entry) => (entry.isFile() ? segmentNumber(entry.name) : undefined))
      .filter((number) => number !== undefined)
      .sort((a, b) => a - b)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

/** A segment open for reading. */
export type OpenSegment = {
  fd: number
  /** `undefined` if damaged. */
  head: Head | undefined
  size: () => Promise<number>
}

/** Maximum number of open files without a reader. */
const keptOpen = 64

type Kept = {
  opening: Promise<OpenSegment>
  users: number
  /** Removed while a reader uses it. Close it when all readers have finished. */
  forgotten: boolean
}

/** Segments open for reading, shared by all readers. The least recently used are closed. */
export class OpenSegments {
  readonly #directoryOf: (writer: string) => string
  readonly #kept = new Map<string, Kept>()

  constructor(directoryOf: (writer: string) => string) {
    this.#directoryOf = directoryOf
  }

  /** Opens a segment; rejects with ENOENT if it does not exist. The file stays open while `use` runs. */
  async use<T>(of: SegmentOf, use: (segment: OpenSegment) => Promise<T>): Promise<T> {
    const key = segmentText(of.writer, of.segment)
    const kept = this.#keep(key, of)
    kept.users++
    try {
      const segment = await kept.opening
      // The writer may not have finished the head yet, so read it again the next time.
      if (!segment.head) this.forget(of)
      return await use(segment)
    } finally {
      kept.users--
      this.#tidy(key, kept)
    }
  }

  /** Drops a removed segment. */
  forget(of: SegmentOf): void {
    const key = segmentText(of.writer, of.segment)
    const kept = this.#kept.get(key)
    if (!kept) return
    this.#kept.delete(key)
    kept.forgotten = true
    this.#tidy(key, kept)
  }

  close(): void {
    for (const [key, kept] of this.#kept) {
      this.#kept.delete(key)
      kept.forgotten = true
      this.#tidy(key, kept)
    }
  }

  #keep(key: string, of: SegmentOf): Kept {
    const known = this.#kept.get(key)
    // Delete and insert again, because the map's order is the order of use.
    if (known) this.#kept.delete(key)
    const kept = known ?? { opening: this.#open(of), users: 0, forgotten: false }
    this.#kept.set(key, kept)
    if (!known) {
      kept.opening.catch(() => {
        if (this.#kept.get(key) === kept) this.#kept.delete(key)
      })
    }
    return kept
  }

  #tidy(key: string, kept: Kept): void {
    if (kept.forgotten && kept.users === 0) closeKept(kept)
    if (kept.forgotten || this.#kept.size <= keptOpen) return
    for (const [other, candidate] of this.#kept) {
      if (candidate.users > 0 || other === key) continue
      this.#kept.delete(other)
      closeKept(candidate)
      return
    }
  }

  async #open(of: SegmentOf): Promise<OpenSegment> {
    const fd = await open(segmentFile(this.#directoryOf(of.writer), of.segment), fs.constants.O_RDONLY)
    try {
      const bytes = await read(fd, 0, headLength)
      refuseForeign(bytes, segmentText(of.writer, of.segment))
      const head = decodeHead(bytes)
      return { fd, head: head?.segment === of.segment ? head : undefined, size: () => sizeOf(fd) }
    } catch (error) {
      await close(fd)
      throw error
    }
  }
}

/** Throws SpoolFailure for a segment that this release cannot read, so that it is not mistaken for damage. */
export function refuseForeign(head: Buffer, segment: string): void {
  const format = foreignFormat(head)
  if (format === undefined) return
  throw new SpoolFailure(
    `segment ${segment} has format ${format}, this release of Postern reads format 1 only: it was written by another release. Start that release; nothing was changed`,
  )
}

function closeKept(kept: Kept): void {
  kept.opening.then(
    (segment) => close(segment.fd),
    () => {},
  )
}
