import { type Arrival, type Batch, type Cursor, type Damage, SpoolFailure, type Trouble } from '../spool.ts'
import { close, isMissing, read, readSalvaging } from './disk.ts'
import { cursorText, locationText, parseCursor, segmentText } from './file-names.ts'
import { type Head, headLength } from './record.ts'
import { type Found, type Gap, type Span, scanWindow, type Window } from './scan.ts'
import { listSegments, type OpenSegment, type OpenSegments } from './segments.ts'
import { openTail, readTail, type Tail } from './tail.ts'

/**
 * A writer that says nothing for so long while its segment has grown has probably died between its sync and saying so:
 * what is whole is taken over then.
 */
export const defaultSilentMs = 5000

/** A disk that refuses to read is asked again for this many times `silentMs`. */
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
  /** Offers octets just read to whoever wants their bodies soon. */
  seen: (segment: number, window: Window) => void
}

/** How far a segment may be read: `sealed`, nothing will be added; `trusted`, everything in it was synced. */
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
  /** The segment whose head has been looked at. */
  #entered = 0
  #marker: Buffer | undefined
  #tail: Tail | undefined
  #tailFd: number | undefined
  /** When the tail last changed, and when the segment was first seen to hold more than the tail said. */
  #heard = performance.now()
  #grownAt: number | undefined
  /** Since when the disk refuses to read. */
  #refusedAt: number | undefined
  /** The tail as it was found, and where octets begin that are no whole record and that nobody vouches for. */
  #firstTail: Tail | undefined
  #torn: { segment: number; offset: number } | undefined
  #sealed: { segment: number; limit: Limit } | undefined
  /** Segments known to come. */
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

  /** What is new; `undefined` when nothing is. Never rejects: what cannot be read now is tried again the next time. */
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

  /** Waited long enough for a disk that refuses: what it still refuses is given up, block by block. */
  get #isOverdue(): boolean {
    return (
      this.#refusedAt !== undefined &&
      performance.now() - this.#refusedAt > this.#options.silentMs * silencesUntilGivenUp
    )
  }

  /** All that was said to be durable has been read. */
  get caughtUp(): boolean {
    return this.#segment === this.#tail?.segment && this.#offset >= this.#tail.offset
  }

  /**
   * Everything that was durable when this trail began has been read. A writer that goes on writing is read up to what it
   * has said since; of one that is silent also what it had no time to say. Rejects for a segment of another release.
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
    // Not whole: it was being overwritten just then.
    const tail = (await readTail(this.#tailFd)) ?? (await readTail(this.#tailFd))
    if (!tail) return
    if (tail.segment === this.#tail?.segment && tail.offset === this.#tail.offset) return
    this.#tail = tail
    this.#firstTail ??= tail
    this.#marker ??= tail.marker
    this.#heard = performance.now()
    this.#grownAt = undefined
  }

  /** One window further, or into the next segment. False: there is nothing to do now. */
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
    if (this.#entered !== this.#segment && (this.#offset < limit.to || limit.sealed)) this.#enter(open)
    if (this.#offset >= limit.to) return limit
    const { to, trusted } = limit
    const reading = this.#isOverdue ? readSalvaging : read
    const span: Span = { fd: open.fd, segment: this.#segment, to, marker: this.#marker, trusted, read: reading }
    const window = await scanWindow(span, this.#offset, this.#options.batch)
    this.#marker = span.marker
    if (window.next === this.#offset) {
      if (!trusted) this.#torn = { segment: this.#segment, offset: this.#offset }
      return limit
    }
    this.#options.seen(this.#segment, window)
    this.#take(window)
    this.#offset = window.next
    return 'read'
  }

  #enter(open: OpenSegment): void {
    this.#entered = this.#segment
    if (open.head) this.#marker = open.head.marker
    else if (this.#offset <= headLength) this.#report({ offset: 0, octets: headLength, reason: 'segment' })
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
    // Nobody said how far this is durable: what is whole is taken, what follows may be torn.
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

  /** Whether there has been more than was said for so long that its writer must have died before saying so. */
  async #grownSilently(open: OpenSegment): Promise<{ size: number; sealed: boolean } | undefined> {
    const now = performance.now()
    // A tail that moved a moment ago is believed without a look at the segment.
    if (now - this.#heard < this.#options.silentMs / 5) return undefined
    const size = await open.size()
    const sealed = (await this.#following()) !== undefined
    if (size <= this.#offset && !sealed) this.#grownAt = undefined
    else this.#grownAt ??= now
    if (this.#grownAt === undefined || now - this.#grownAt < this.#options.silentMs) return undefined
    return { size, sealed }
  }

  /** The next segment there is, and its head. */
  async #following(): Promise<{ segment: number; head: Head | undefined } | undefined> {
    const { writer, segments } = this.#options
    for (let segment = await this.#higher(); segment !== undefined; segment = await this.#higher()) {
      try {
        return { segment, head: await segments.use({ writer, segment }, async (open) => open.head) }
      } catch (error) {
        if (!isMissing(error)) throw error
        // Removed since the directory was listed: a writer that starts removes what it left empty.
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

  /** The cursor's segment is gone, and all there are come before it: a writer never counts backwards, so they were put back. */
  async #beginAgain(): Promise<boolean> {
    const { writer, directory, trouble } = this.#options
    if ((await listSegments(directory)).length === 0) return false
    trouble({ kind: 'put-back', writer, cursor: cursorText(this.#segment, this.#offset) })
    this.#segment = 0
    this.#offset = 0
    this.#entered = 0
    return true
  }

  /** Segments that were not taken over and are not there any more. */
  #reportLost(head: Head | undefined, why: 'gone' | undefined): void {
    if (this.#segment === 0 || !head) return
    const { previous, previousEnd } = head
    const from = previous === this.#segment ? this.#offset : headLength
    if (previous < this.#segment || (previous === this.#segment && why !== 'gone') || previousEnd <= from) return
    this.#report({ offset: from, octets: previousEnd - from, reason: 'missing' }, previous)
  }

  #report(gap: Gap, segment = this.#segment): void {
    const { writer } = this.#options
    const { offset, octets, envelope } = gap
    const location = envelope && { location: locationText({ writer, segment, offset, octets }) }
    this.#damages.push({ writer, segment: segmentText(writer, segment), ...gap, ...location })
  }

  #take(window: Window): void {
    for (const gap of window.gaps) this.#report(gap)
    for (const record of window.found) {
      if (!record.header.copy || this.#options.copies) this.#arrivals.push(this.#arrival(record))
    }
  }

  #arrival({ offset, octets, header, meta }: Found): Arrival {
    const { writer } = this.#options
    return {
      envelope: meta.envelope,
      json: meta.json,
      location: locationText({ writer, segment: this.#segment, offset, octets }),
      segment: segmentText(writer, this.#segment),
      size: header.prefixLength + header.bodyLength,
      copy: header.copy,
    }
  }
}
