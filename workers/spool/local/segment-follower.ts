import { type Arrival, type Batch, type Cursor, type Damage, SpoolFailure, type Trouble } from '../spool.ts'
import { close, isMissing, read, readSalvaging } from './disk.ts'
import { cursorText, locationText, parseCursor, segmentText } from './file-names.ts'
import { type Head, headLength } from './record.ts'
import { type Found, type Gap, type Span, scanWindow, type Window } from './scan.ts'
import { listSegments, type OpenSegment, type OpenSegments } from './segments.ts'
import { openTail, readTail, type Tail } from './tail.ts'

/**
 * If a segment grows but its writer publishes nothing for this long, the writer probably died between its sync and its
 * publication. Complete records are then taken over.
 */
export const defaultSilentMs = 5000

/** Reads that the disk refuses are retried for this many times `silentMs`. */
const silencesUntilGivenUp = 6

export type SegmentFollowerOptions = {
  writer: string
  directory: string
  segments: OpenSegments
  after: Cursor | undefined
  batch: number
  copies: boolean
  silentMs: number
  trouble: (trouble: Trouble) => void
  /** Offers the bytes just read to readers that will soon need the bodies. */
  seen: (segment: number, window: Window) => void
}

/** How far a segment may be read. `sealed`: nothing will be added. `trusted`: everything in it was synced. */
type Limit = {
  to: number
  sealed: boolean
  trusted: boolean
}

/** Follows one writer through its segments, in order. */
export class SegmentFollower {
  readonly #options: SegmentFollowerOptions
  #segment: number
  #offset: number
  /** The segment whose head was checked. */
  #entered = 0
  #marker: Buffer | undefined
  #tail: Tail | undefined
  #tailFd: number | undefined
  /** When the tail last changed, and when the segment was first seen to be longer than the tail states. */
  #heard = performance.now()
  #grownAt: number | undefined
  /** Since when the disk has refused reads. */
  #refusedAt: number | undefined
  /** The tail as first found, and where incomplete, unpublished data begins. */
  #firstTail: Tail | undefined
  #torn: { segment: number; offset: number } | undefined
  #sealed: { segment: number; limit: Limit } | undefined
  /** Whether the last record was large. */
  #isLarge = false
  /** Segments known to follow. */
  #listed: number[] = []
  #damages: Damage[] = []
  #arrivals: Arrival[] = []
  #moved = false

  constructor(options: SegmentFollowerOptions) {
    this.#options = options
    const { segment, offset } = options.after ? parseCursor(options.after) : { segment: 0, offset: 0 }
    this.#segment = segment
    this.#offset = offset
  }

  /**
   * Returns new messages; `undefined` if there are none. Never rejects: data that cannot be read now is retried the
   * next time.
   */
  async next(): Promise<Batch | undefined> {
    try {
      await this.#listen()
      while (this.#arrivals.length === 0 && this.#damages.length === 0 && (await this.#step())) this.#moved = true
    } catch (error) {
      this.#refused(error as Error)
    }
    if (!this.#moved && this.#damages.length === 0) return undefined
    const arrivals = this.#arrivals
    const damages = this.#damages
    this.#arrivals = []
    this.#damages = []
    this.#moved = false
    return { writer: this.#options.writer, arrivals, damages, cursor: cursorText(this.#segment, this.#offset) }
  }

  #refused(error: Error): void {
    if (this.#refusedAt !== undefined) return
    this.#refusedAt = performance.now()
    this.#options.trouble({ kind: 'unreadable', writer: this.#options.writer, error: error.message })
  }

  /** Returns whether the disk has refused reads for too long. Data that it still refuses is then given up block by block. */
  get #isOverdue(): boolean {
    return (
      this.#refusedAt !== undefined &&
      performance.now() - this.#refusedAt > this.#options.silentMs * silencesUntilGivenUp
    )
  }

  /** Returns whether all data published as durable has been read. */
  get caughtUp(): boolean {
    return this.#segment === this.#tail?.segment && this.#offset >= this.#tail.offset
  }

  /**
   * Returns whether everything that was durable when reading began has been read. An active writer is read up to
   * what it has published since. A silent one is also read past that, because it may have died before publishing.
   * Rejects for a segment of another release.
   */
  async ended(): Promise<boolean> {
    const tail = this.#tail
    const firstTail = this.#firstTail
    if (this.caughtUp && (tail?.segment !== firstTail?.segment || tail?.offset !== firstTail?.offset)) return true
    try {
      if ((await this.#following()) !== undefined) return false
      if (this.#segment === 0) return true
      if (this.#torn?.segment === this.#segment && this.#torn.offset === this.#offset) return true
      const { writer, segments } = this.#options
      return await segments.use({ writer, segment: this.#segment }, async ({ size }) => (await size()) <= this.#offset)
    } catch (error) {
      if (error instanceof SpoolFailure) throw error
      return false
    }
  }

  async close(): Promise<void> {
    if (this.#tailFd !== undefined) await close(this.#tailFd)
    this.#tailFd = undefined
  }

  async #listen(): Promise<void> {
    this.#tailFd ??= await openTail(this.#options.directory)
    if (this.#tailFd === undefined) return
    // The tail was incomplete, because it was being overwritten. Read it again.
    const tail = (await readTail(this.#tailFd)) ?? (await readTail(this.#tailFd))
    if (!tail) return
    if (tail.segment === this.#tail?.segment && tail.offset === this.#tail.offset) return
    this.#tail = tail
    this.#firstTail ??= tail
    this.#marker ??= tail.marker
    this.#heard = performance.now()
    this.#grownAt = undefined
  }

  /** Reads one more window, or moves to the next segment. Returns false if there is nothing to do now. */
  async #step(): Promise<boolean> {
    const { writer, segments } = this.#options
    if (this.#segment === 0) return this.#enterNext(undefined)
    try {
      const limit = await segments.use({ writer, segment: this.#segment }, (open) => this.#read(open))
      this.#refusedAt = undefined
      if (limit === 'read') return true
      return limit.sealed ? this.#enterNext(undefined) : false
    } catch (error) {
      if (!isMissing(error)) throw error
      return this.#enterNext('gone')
    }
  }

  async #read(open: OpenSegment): Promise<Limit | 'read'> {
    const limit = await this.#limitOf(open)
    if (this.#entered !== this.#segment && (this.#offset < limit.to || limit.sealed)) await this.#enter(open)
    if (this.#offset >= limit.to) return limit
    const { to, trusted } = limit
    const reading = this.#isOverdue ? readSalvaging : read
    const bodies = trusted && !this.#isOverdue && this.#isNew ? 'later' : 'now'
    const span: Span = { fd: open.fd, segment: this.#segment, to, marker: this.#marker, trusted, bodies, read: reading }
    const window = await scanWindow(span, this.#offset, this.#options.batch, this.#isLarge)
    this.#marker = span.marker
    this.#isLarge = window.isLarge
    if (window.next === this.#offset) {
      if (!trusted) this.#torn = { segment: this.#segment, offset: this.#offset }
      return limit
    }
    this.#options.seen(this.#segment, window)
    this.#take(window)
    this.#offset = window.next
    return 'read'
  }

  /**
   * Returns whether everything from here on was published since this reader began: its writer lives, and has synced it a
   * moment ago. What it finds at its start may have been through a crash or a restore.
   */
  get #isNew(): boolean {
    const first = this.#firstTail
    if (!first) return false
    return this.#segment > first.segment || (this.#segment === first.segment && this.#offset >= first.offset)
  }

  async #enter(open: OpenSegment): Promise<void> {
    const isBegun = open.head !== undefined || !(await this.#isUnfinished(open))
    this.#entered = this.#segment
    if (open.head) this.#marker = open.head.marker
    else if (isBegun && this.#offset <= headLength) this.#report({ offset: 0, bytes: headLength, reason: 'segment' })
  }

  /**
   * Returns whether the writer died while it created the segment, before anything was in it. The next writer counts on the
   * one before, and removes this one a moment later.
   */
  async #isUnfinished(open: OpenSegment): Promise<boolean> {
    if ((await open.size()) > headLength) return false
    return (await this.#following())?.head?.previous !== this.#segment
  }

  async #limitOf(open: OpenSegment): Promise<Limit> {
    const tail = this.#tail
    const segment = this.#segment
    const offset = this.#offset
    if (tail && segment < tail.segment) return this.#sealedLimit(open)
    const proven = tail?.segment === segment ? tail.offset : 0
    if (offset < proven) return { to: proven, sealed: false, trusted: true }
    const grown = await this.#grownSilently(open)
    if (!grown) return { to: offset, sealed: false, trusted: true }
    if (grown.sealed) return this.#sealedLimit(open)
    // The writer has not published how far this is durable. Complete records are taken; the rest may be incomplete.
    return { to: grown.size, sealed: false, trusted: false }
  }

  async #sealedLimit(open: OpenSegment): Promise<Limit> {
    if (this.#sealed?.segment !== this.#segment) {
      const next = await this.#following()
      const to = next?.head?.previous === this.#segment ? next.head.previousEnd : await open.size()
      const limit = { to, sealed: next !== undefined, trusted: true }
      if (!next) return limit
      this.#sealed = { segment: this.#segment, limit }
    }
    return this.#sealed.limit
  }

  /**
   * Returns the new size if the segment has been longer than published for so long that its writer must have died
   * before publishing.
   */
  async #grownSilently(open: OpenSegment): Promise<{ size: number; sealed: boolean } | undefined> {
    const now = performance.now()
    // A tail that changed a moment ago is trusted without checking the segment.
    if (now - this.#heard < this.#options.silentMs / 5) return undefined
    const size = await open.size()
    const sealed = (await this.#following()) !== undefined
    if (size <= this.#offset && !sealed) this.#grownAt = undefined
    else this.#grownAt ??= now
    if (this.#grownAt === undefined || now - this.#grownAt < this.#options.silentMs) return undefined
    return { size, sealed }
  }

  /** Returns the next existing segment and its head. */
  async #following(): Promise<{ segment: number; head: Head | undefined } | undefined> {
    const { writer, segments } = this.#options
    for (let segment = await this.#higher(); segment !== undefined; segment = await this.#higher()) {
      try {
        return { segment, head: await segments.use({ writer, segment }, async (open) => open.head) }
      } catch (error) {
        if (!isMissing(error)) throw error
        // The segment was removed after the directory was listed: a writer removes empty segments at startup.
        this.#listed = []
      }
    }
    return undefined
  }

  async #higher(): Promise<number | undefined> {
    while (this.#listed.length > 0 && this.#listed[0]! <= this.#segment) this.#listed.shift()
    if (this.#listed.length === 0) {
      this.#listed = (await listSegments(this.#options.directory)).filter((number) => number > this.#segment)
    }
    return this.#listed[0]
  }

  async #enterNext(why: 'gone' | undefined): Promise<boolean> {
    const next = await this.#following()
    if (!next) return why === 'gone' && (await this.#beginAgain())
    this.#reportLost(next.head, why)
    this.#segment = next.segment
    this.#offset = headLength
    return true
  }

  /**
   * Starts over if the cursor's segment is gone and all existing ones have lower numbers. A writer's numbers never
   * decrease, so the segments were restored.
   */
  async #beginAgain(): Promise<boolean> {
    const { writer, directory, trouble } = this.#options
    if ((await listSegments(directory)).length === 0) return false
    trouble({ kind: 'put-back', writer, cursor: cursorText(this.#segment, this.#offset) })
    this.#segment = 0
    this.#offset = 0
    this.#entered = 0
    return true
  }

  /** Reports segments that disappeared before they were taken over. */
  #reportLost(head: Head | undefined, why: 'gone' | undefined): void {
    if (this.#segment === 0 || !head) return
    const { previous, previousEnd } = head
    const from = previous === this.#segment ? this.#offset : headLength
    if (previous < this.#segment || (previous === this.#segment && why !== 'gone') || previousEnd <= from) return
    this.#report({ offset: from, bytes: previousEnd - from, reason: 'missing' }, previous)
  }

  #report(gap: Gap, segment = this.#segment): void {
    const { writer } = this.#options
    const { offset, bytes, envelope } = gap
    const location = envelope && { location: locationText({ writer, segment, offset, bytes }) }
    this.#damages.push({ writer, segment: segmentText(writer, segment), ...gap, ...location })
  }

  #take(window: Window): void {
    for (const gap of window.gaps) this.#report(gap)
    for (const record of window.found) {
      if (!record.header.copy || this.#options.copies) this.#arrivals.push(this.#arrival(record))
    }
  }

  #arrival({ offset, bytes, header, meta }: Found): Arrival {
    const { writer } = this.#options
    return {
      envelope: meta.envelope,
      json: meta.json,
      location: locationText({ writer, segment: this.#segment, offset, bytes }),
      segment: segmentText(writer, this.#segment),
      size: header.prefixLength + header.bodyLength,
      copy: header.copy,
    }
  }
}
