import type { Readable } from 'node:stream'
import type { Envelope } from '@postern/contract/envelope.ts'

/**
 * The durable message store. Receivers write, the Queue Manager reads; neither knows where the bytes lie.
 *
 * Promised: what `commit` or `write` resolved is on stable storage and will be given to the reader, once per cursor, in
 * the order it became durable for its writer. What is damaged is reported and never passed on. What was aborted or
 * refused is never seen. The spool owns the bytes; who still waits for them is known to the Queue Manager alone.
 */

/** Where one stored message lies: text, opaque, stable until its segment is reclaimed. Keep it, compare it, never parse it. */
export type Location = string & { readonly kind: 'location' }

/** The unit in which space is given back; many messages may share one. Text, opaque. */
export type Segment = string & { readonly kind: 'segment' }

/** How far one writer's messages have been taken over: text, opaque. Keep it in the transaction that takes the batch over. */
export type Cursor = string & { readonly kind: 'cursor' }

/** Cursor by writer name. A writer without one is read from its oldest message. */
export type Cursors = ReadonlyMap<string, Cursor>

// ── Writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A message that is durable. */
export type Stored = {
  /** The envelope's id. */
  id: string
  /** Octets of the message as it will be read: prefix and body. */
  size: number
  location: Location
  segment: Segment
}

/** A message that is complete in memory. Large ones (over 1 MiB) belong in a message writer. */
export type Message = {
  envelope: Envelope
  /** Trace fields (Received, Authentication-Results …) that go before the body, ending in CRLF. */
  prefix?: Buffer
  /** The message as it came, dots removed. The buffers must not be changed until the promise settles. */
  body: Buffer | readonly Buffer[]
}

export type SpoolWriter = {
  /** The name under which it writes, e.g. `smtp-1`; one process at a time holds a name. */
  readonly name: string

  /**
   * Whether a message of this many octets can be taken now; answers from memory, at once. False: answer 452 4.3.1.
   * What is already being written and the reserve are counted in.
   */
  hasRoom(octets?: number): boolean

  /** Stores a complete message. Rejects with SpoolFull or SpoolFailure; then it is not stored. */
  write(message: Message): Promise<Stored>

  /** Starts a message whose end is not known yet. Throws SpoolFull when there is no room for `expected` octets. */
  begin(expected?: number): MessageWriter

  /**
   * Behind everything whose `write` or `commit` has resolved, and before everything that will: what a later process
   * reads after it is what this one, had it died now, would not have been told of.
   */
  cursor(): Cursor

  /** Octets in unfinished and in messages that are not durable yet, octets free beyond the reserve, and the reserve. */
  load(): { pending: number; free: number; reserve: number }

  /** Takes nothing new, waits until everything committed is durable, gives the name back. Open unfinished are aborted. */
  close(): Promise<void>
}

/** One message on its way in. Any number may be open at once. Memory stays below about 1.5 MiB however long it grows. */
export type MessageWriter = {
  /** Octets appended so far. */
  readonly size: number

  /**
   * Adds octets; the buffer belongs to the message writer from then on. `undefined`: go on. A promise: wait for it before the
   * next append (back-pressure). It rejects with SpoolFull or SpoolFailure; the message writer is then aborted.
   */
  append(chunk: Buffer): Promise<void> | undefined

  /**
   * Resolves when the message is durable: only then answer 250. Rejects with SpoolFull or SpoolFailure: not stored.
   * `prefix` goes before everything appended, so trace fields may be decided at the end.
   */
  commit(envelope: Envelope, prefix?: Buffer): Promise<Stored>

  /**
   * What was appended so far, as often as it is asked for, in bounded memory. Append, commit or abort nothing before the
   * end is reached. Rejects with SpoolFailure when storage does.
   */
  read(): AsyncIterable<Buffer>

  /** Forgets the message; never throws, may be called at any time before commit, and again. After commit it does nothing. */
  abort(): void
}

/** There is no room: `452 4.3.1`. Nothing of the message is kept. */
export class SpoolFull extends Error {
  override readonly name = 'SpoolFull'
}

/** Storage failed (EIO, a failed sync, closed): `451 4.3.0`. Nothing of the message is promised; others are not touched. */
export class SpoolFailure extends Error {
  override readonly name = 'SpoolFailure'
}

/** Another process holds this writer's name. */
export class SpoolInUse extends Error {
  override readonly name = 'SpoolInUse'
}

/** Things an operator should know; no acknowledged message is concerned unless it says so. */
export type Trouble =
  /** After a crash the last segment ended in octets that nobody was promised; they were cut. */
  | { kind: 'torn-tail'; segment: Segment; offset: number; octets: number }
  /** A write or sync failed: the messages concerned were refused and the segment is written no further. */
  | { kind: 'write-failed'; segment: Segment; refused: number; error: string }
  /** A writer's segments are older than the cursor: they were put back, or made anew. They are read from the oldest on. */
  | { kind: 'put-back'; writer: string; cursor: Cursor }
  /** A reader cannot read what this writer stored; it asks again for half a minute, then gives up what is still refused. */
  | { kind: 'unreadable'; writer: string; error: string }

// ── Reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A message the reader has not seen before. */
export type Arrival = {
  envelope: Envelope
  /** The envelope as JSON text, as stored: keep this rather than stringify again. */
  json: string
  location: Location
  segment: Segment
  /** Octets of the message: prefix and body. */
  size: number
  /** True: `copyOn` wrote it. Given only when copies are asked for. */
  copy: boolean
}

/** Octets that cannot be trusted. They were skipped and never passed on. */
export type Damage = {
  writer: string
  segment: Segment
  /** Where in the segment it begins, and how many octets were given up. */
  offset: number
  octets: number
  /**
   * `segment`: the segment's own head; `header`: a record's head, so which messages are concerned is not known;
   * `envelope`, `body`: that part of one message; `missing`: the octets are not there at all.
   */
  reason: 'segment' | 'header' | 'envelope' | 'body' | 'missing'
  /** The message concerned, and where it lies, where its envelope can still be read. */
  envelope?: Envelope
  location?: Location
}

/** A message cannot be read because its octets are damaged. */
export class SpoolDamaged extends Error {
  override readonly name = 'SpoolDamaged'
  readonly damage: Damage
  constructor(damage: Damage) {
    super(`spool damaged: ${damage.reason} in segment ${damage.segment} at ${damage.offset}, ${damage.octets} octets`)
    this.damage = damage
  }
}

/** What one writer brought, in its order. Take over `arrivals`, `damages` and `cursor` in one transaction. */
export type Batch = {
  writer: string
  arrivals: Arrival[]
  damages: Damage[]
  /** Everything up to here is in this batch or an earlier one. */
  cursor: Cursor
}

export type FollowOptions = {
  /** Where to go on, by writer. */
  after: Cursors
  /** Ends the iteration. */
  signal: AbortSignal
  /** Only these writers; without it all, present and future. */
  writers?: readonly string[]
  /** Most arrivals in one batch; default 500. */
  batch?: number
  /** Also give the copies that `copyOn` made. Default false. */
  copies?: boolean
}

/** A batch of everything there is. `passed`: an arrival that lies before its writer's cursor, by place in `arrivals`. */
export type ScanBatch = Batch & {
  passed: boolean[]
}

/** What still waits in a segment, as the Queue Manager knows it. */
export type Waiting = {
  messages: number
  octets: number
}

export type Reclaimed = {
  /** Segments that are gone; no location in them may be used any more. */
  removed: Segment[]
  /** Octets given back. */
  freed: number
  /** Segments in which little waits: copy those messages on, and the next reclaim removes them. Emptiest first. */
  sparse: Segment[]
}

export type SpoolReader = {
  /**
   * Gives what every writer, present and future, made durable after its cursor; waits for more until the signal ends it.
   * Wakes within milliseconds of a commit. The next batch is read only when it is asked for. Small messages are verified
   * whole before they are given; of large ones the envelope, and the body when it is read.
   */
  follow(options: FollowOptions): AsyncIterable<Batch>

  /**
   * Reads everything that is durable when it begins, of every writer from its oldest segment on, copies too, and ends
   * behind the last segment. To rebuild an index: the same message may come several times, as itself and as copies. Rejects
   * with SpoolFailure for a segment of another release.
   */
  scan(before: Cursors): AsyncIterable<ScanBatch>

  /** The whole message, prefix and body, verified before it is given. For small messages. Rejects with SpoolDamaged. */
  readBody(location: Location): Promise<Buffer>

  /**
   * The message as a stream in bounded memory. Up to 1 MiB it is verified before the first octet. Beyond, the last chunk
   * is held back until the checksum holds; if it does not, the stream is destroyed with SpoolDamaged: never complete a
   * delivery whose stream did not end.
   */
  openBody(location: Location): Readable

  readEnvelope(location: Location): Promise<Envelope>

  /**
   * Gives back the segments that are no longer written, wholly taken over and in which nothing waits.
   * `cursors` are those committed by the Queue Manager; `waiting` has an entry for each segment with at least one waiting
   * message. Add an entry for a segment that should be kept for another reason (damage to look into).
   */
  reclaim(books: { cursors: Cursors; waiting: ReadonlyMap<Segment, Waiting> }): Promise<Reclaimed>

  /**
   * Copies a waiting message into `to`, the Queue Manager's own writer, durably, and says where it lies now; the Queue
   * Manager then replaces the location. Verified on the way: rejects with SpoolDamaged, SpoolFull or SpoolFailure.
   * May use half of the reserve, so that a nearly full disk can still be tidied.
   */
  copyOn(location: Location, to: SpoolWriter): Promise<Stored>

  close(): Promise<void>
}
