import { readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Envelope } from '@postern/contract/envelope.ts'
import type {
  Batch,
  Cursor,
  Cursors,
  FollowOptions,
  Location,
  Reclaimed,
  ScanBatch,
  SpoolReader,
  SpoolWriter,
  Stored,
  Trouble,
} from '../spool.ts'
import { Bodies } from './body.ts'
import { isMissing } from './disk.ts'
import { isWriterName, parseCursor, parseLocation } from './file-names.ts'
import { FileWatch } from './file-watch.ts'
import { ReadCache } from './read-cache.ts'
import { type Books, reclaimWriter } from './reclaim.ts'
import { defaultSilentMs, SegmentFollower } from './segment-follower.ts'
import { OpenSegments } from './segments.ts'
import { tailFile } from './tail.ts'
import { LocalWriter } from './writer.ts'

export type LocalReaderOptions = {
  /** The spool's directory, shared by all writers. It may not exist yet. */
  directory: string
  /** Maximum time to sleep if no watch wakes the reader; default 250 ms. */
  pollMs?: number
  /** Time after which complete records are taken over even if their writer has not published them; default 5 s. */
  silentMs?: number
  /** Reports a problem to the operator. */
  trouble?: (trouble: Trouble) => void
}

/** Milliseconds between batches while more messages arrive. The first message is taken over at once. */
const batchDelayMs = 10

export function openLocalReader(options: LocalReaderOptions): SpoolReader {
  return new LocalReader(options)
}

class LocalReader implements SpoolReader {
  readonly #directory: string
  readonly #pollMs: number
  readonly #silentMs: number
  readonly #trouble: (trouble: Trouble) => void
  readonly #segments: OpenSegments
  readonly #recent = new ReadCache()
  readonly #bodies: Bodies

  constructor(options: LocalReaderOptions) {
    this.#directory = resolve(options.directory)
    this.#pollMs = options.pollMs ?? 250
    this.#silentMs = options.silentMs ?? defaultSilentMs
    this.#trouble = options.trouble ?? (() => {})
    this.#segments = new OpenSegments((writer) => join(this.#directory, writer))
    this.#bodies = new Bodies(this.#segments, (position) => this.#recent.recall(position))
  }

  async *follow(options: FollowOptions): AsyncGenerator<Batch> {
    const newMail = new FileWatch()
    const ring = () => newMail.ring()
    options.signal.addEventListener('abort', ring)
    const followers = new Map<string, SegmentFollower>()
    let searchedAt = Number.NEGATIVE_INFINITY
    try {
      while (!options.signal.aborted) {
        if (performance.now() - searchedAt >= this.#pollMs) {
          await this.#findWriters(followers, options, newMail)
          searchedAt = performance.now()
        }
        let quiet = true
        let more = false
        for (const follower of followers.values()) {
          const batch = await follower.next()
          if (options.signal.aborted) return
          if (!batch) continue
          quiet = false
          more ||= !follower.caughtUp
          yield batch
        }
        if (quiet) await newMail.wait(this.#pollMs)
        else if (!more) await sleep(batchDelayMs)
      }
    } finally {
      options.signal.removeEventListener('abort', ring)
      newMail.close()
      for (const follower of followers.values()) await follower.close()
    }
  }

  async *scan(before: Cursors): AsyncGenerator<ScanBatch> {
    for (const writer of await this.#writers()) {
      const follower = this.#follower(writer, { after: undefined, batch: 500, copies: true })
      try {
        for (;;) {
          const batch = await follower.next()
          if (batch) yield { ...batch, passed: passedBy(batch, before.get(writer)) }
          else if (await follower.ended()) break
          else await sleep(20)
        }
      } finally {
        await follower.close()
      }
    }
  }

  async readBody(location: Location): Promise<Buffer> {
    return this.#bodies.body(location)
  }

  openBody(location: Location): Readable {
    return this.#bodies.stream(location)
  }

  async readEnvelope(location: Location): Promise<Envelope> {
    return (await this.#bodies.envelope(location)).envelope
  }

  async reclaim(books: Books): Promise<Reclaimed> {
    const total: Reclaimed = { removed: [], freed: 0, sparse: [] }
    for (const writer of books.cursors.keys()) {
      const place = { writer, directory: join(this.#directory, writer), segments: this.#segments }
      const { removed, freed, sparse } = await reclaimWriter(place, books)
      total.removed.push(...removed)
      total.freed += freed
      total.sparse.push(...sparse)
    }
    return total
  }

  async copyOn(location: Location, to: SpoolWriter): Promise<Stored> {
    if (!(to instanceof LocalWriter)) throw new TypeError('copyOn: the writer does not belong to the local spool')
    if (parseLocation(location).bytes > 1 << 20) return this.#copyStream(location, to)
    const { meta, body } = await this.#bodies.whole(location)
    return to.writeCopy({ envelope: meta.envelope, body })
  }

  async close(): Promise<void> {
    this.#segments.close()
  }

  async #copyStream(location: Location, to: LocalWriter): Promise<Stored> {
    const { envelope } = await this.#bodies.envelope(location)
    const messageWriter = to.beginCopy(parseLocation(location).bytes)
    try {
      for await (const chunk of this.openBody(location)) await messageWriter.append(chunk)
      return await messageWriter.commit(envelope)
    } finally {
      messageWriter.abort()
    }
  }

  async #findWriters(
    followers: Map<string, SegmentFollower>,
    options: FollowOptions,
    newMail: FileWatch,
  ): Promise<void> {
    newMail.watch(this.#directory)
    for (const writer of options.writers ?? (await this.#writers())) {
      newMail.watch(tailFile(join(this.#directory, writer)))
      if (followers.has(writer)) continue
      const { batch = 500, copies = false } = options
      const follower = this.#follower(writer, { after: options.after.get(writer), batch, copies })
      followers.set(writer, follower)
    }
  }

  #follower(writer: string, given: { after: Cursor | undefined; batch: number; copies: boolean }): SegmentFollower {
    return new SegmentFollower({
      ...given,
      writer,
      directory: join(this.#directory, writer),
      segments: this.#segments,
      silentMs: this.#silentMs,
      trouble: this.#trouble,
      seen: (segment, window) => this.#recent.keep(writer, segment, window),
    })
  }

  async #writers(): Promise<string[]> {
    try {
      const entries = await readdir(this.#directory, { withFileTypes: true })
      return entries.filter((entry) => entry.isDirectory() && isWriterName(entry.name)).map((entry) => entry.name)
    } catch (error) {
      if (isMissing(error)) return []
      throw error
    }
  }
}

function passedBy({ arrivals }: Batch, cursor: Cursor | undefined): boolean[] {
  if (cursor === undefined) return arrivals.map(() => false)
  const end = parseCursor(cursor)
  return arrivals.map(({ location }) => {
    const { segment, offset } = parseLocation(location)
    return segment < end.segment || (segment === end.segment && offset < end.offset)
  })
}
