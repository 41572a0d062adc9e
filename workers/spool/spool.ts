import type { Readable } from 'node:stream'
import type { Envelope } from '@postern/contract/envelope.ts'

/**
 * The durable message store. Receivers write and the Queue Manager reads; neither knows where the bytes are stored.
 *
 * Guarantees: a message for which `commit` or `write` resolved is on stable storage. The reader gets it once for each
 * cursor, in the order in which its writer's messages became durable. Damaged messages are reported and never passed
 * on. Aborted or refused messages are never seen. The spool owns the bytes; only the Queue Manager knows which
 * recipients still wait for them.
 */

/**
 * The place of a stored message: an opaque string, stable until its segment is reclaimed. Callers may store and compare
 * it, but must not parse it.
 */
export type Location = string & { readonly kind: 'location' }

/** The unit in which space is reclaimed. Many messages may share one. An opaque string. */
export type Segment = string & { readonly kind: 'segment' }

/**
 * How far one writer's messages have been taken over: an opaque string. Store it in the transaction that takes over the
 * batch.
 */
export type Cursor = string & { readonly kind: 'cursor' }

/** Cursors by writer name. A writer without one is read from its oldest message. */
export type Cursors = ReadonlyMap<string, Cursor>

// ── Writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A durable message. */
export type Stored = {
  /** The envelope's id. */
  id: string
  /** Size of the message as read back: prefix and body, in bytes. */
  size: number
  location: Location
  segment: Segment
}

/** A message that is complete in memory. Large ones (over 1 MiB) should use a message writer. */
export type Message = {
  envelope: Envelope
  /** Trace fields (Received, Authentication-Results …) before the body, ending in CRLF. */
  prefix?: Buffer
  /** The message as received, after dot-unstuffing. The buffers must not be changed until the promise settles. */
  body: Buffer | readonly Buffer[]
}

export type SpoolWriter = {
  /** The writer's name, e.g. `smtp-1`. Only one process at a time can hold a name. */
  readonly name: string

  /**
   * Returns whether a message of this many bytes can be accepted now; answers from memory, at once. If false, answer
   * 452 4.3.1. Accounts for pending writes and the reserve.
   */
  hasRoom(bytes?: number): boolean

  /** Stores a complete message. Rejects with SpoolFull or SpoolFailure; the message is then not stored. */
  write(message: Message): Promise<Stored>

  /** Starts a message of unknown length. Throws SpoolFull if there is no room for `expected` bytes. */
  begin(expected?: number): MessageWriter

  /**
   * Returns a position after every message whose `write` or `commit` has resolved, and before every later one. If this
   * process died now, a later process would find after this position exactly the messages that this one did not see
   * acknowledged.
   */
  cursor(): Cursor

  /**
   * Returns the bytes of messages that are unfinished or not durable yet, the free bytes beyond the reserve, and the
   * reserve.
   */
  load(): { pending: number; free: number; reserve: number }

  /** Accepts nothing new, waits until everything committed is durable, and releases the name. Aborts unfinished messages. */
  close(): Promise<void>
}

/** One incoming message. Any number may be open at once. Memory stays below about 1.5 MiB for a message of any length. */
export type MessageWriter = {
  /** Bytes appended so far. */
  readonly size: number

  /**
   * Adds bytes. The message writer then owns the buffer. Returns `undefined` to continue, or a promise to await before
   * the next append (back-pressure). The promise rejects with SpoolFull or SpoolFailure; the message writer is then
   * aborted.
   */
  append(chunk: Buffer | readonly Buffer[]): Promise<void> | undefined

  /**
   * Resolves when the message is durable; answer 250 only then. Rejects with SpoolFull or SpoolFailure; the message is
   * then not stored. `prefix` goes before all appended data, so trace fields may be decided at the end.
   */
  commit(envelope: Envelope, prefix?: Buffer): Promise<Stored>

  /**
   * Returns the data appended so far, any number of times, in bounded memory. Do not append, commit or abort before the
   * end is reached. Rejects with SpoolFailure if storage fails.
   */
  read(): AsyncIterable<Buffer>

  /**
   * Discards the message. Never throws. It may be called at any time before commit, also repeatedly. After commit it
   * does nothing.
   */
  abort(): void
}

/** There is no room: `452 4.3.1`. Nothing of the message is kept. */
export class SpoolFull extends Error {
  override readonly name = 'SpoolFull'
}

/** Storage failed (EIO, a failed sync, closed): `451 4.3.0`. The message is not stored; others are not affected. */
export class SpoolFailure extends Error {
  override readonly name = 'SpoolFailure'
}

/** Another process holds this writer's name. */
export class SpoolInUse extends Error {
  override readonly name = 'SpoolInUse'
}

/** Problems that an operator should know about. They do not affect acknowledged messages unless stated. */
export type Trouble =
  /** After a crash the last segment ended in bytes that were never acknowledged. They were removed. */
  | { kind: 'torn-tail'; segment: Segment; offset: number; bytes: number }
  /** A write or sync failed. The affected messages were refused, and the segment is not written again. */
  | { kind: 'write-failed'; segment: Segment; refused: number; error: string }
  /**
   * A writer's segments are older than the cursor: they were restored, or created anew. They are read from the oldest
   * on.
   */
  | { kind: 'put-back'; writer: string; cursor: Cursor }
  /**
   * A reader cannot read this writer's data. It retries for half a minute, then gives up the data that still cannot be
   * read.
   */
  | { kind: 'unreadable'; writer: string; error: string }

// ── Reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A message the reader has not seen before. */
export type Arrival = {
  envelope: Envelope
  /** The envelope as JSON text, as stored. Keep this instead of serialising it again. */
  json: string
  location: Location
  segment: Segment
  /** Size of the message in bytes: prefix and body. */
  size: number
  /** Whether `copyOn` wrote it. Copies are returned only on request. */
  copy: boolean
}

/** Bytes that cannot be trusted. They were skipped and never passed on. */
export type Damage = {
  writer: string
  segment: Segment
  /** The start of the damage in the segment, and the number of bytes given up. */
  offset: number
  bytes: number
  /**
   * The damaged part.
   * - `segment`: the segment's head.
   * - `header`: a record's header, so the affected messages are not known.
   * - `envelope`, `body`: that part of one message.
   * - `missing`: the bytes do not exist.
   */
  reason: 'segment' | 'header' | 'envelope' | 'body' | 'missing'
  /** The affected message and its location, if its envelope can still be read. */
  envelope?: Envelope
  location?: Location
}

/** A message cannot be read because its bytes are damaged. */
export class SpoolDamaged extends Error {
  override readonly name = 'SpoolDamaged'
  readonly damage: Damage
  constructor(damage: Damage) {
    super(`spool damaged: ${damage.reason} in segment ${damage.segment} at ${damage.offset}, ${damage.bytes} bytes`)
    this.damage = damage
  }
}

/** New messages of one writer, in order. Take over `arrivals`, `damages` and `cursor` in one transaction. */
export type Batch = {
  writer: string
  arrivals: Arrival[]
  damages: Damage[]
  /** Everything up to this cursor is in this batch or an earlier one. */
  cursor: Cursor
}

export type FollowOptions = {
  /** The positions to continue from, by writer. */
  after: Cursors
  /** Ends the iteration. */
  signal: AbortSignal
  /** Read only these writers. Absent: all, present and future. */
  writers?: readonly string[]
  /** Maximum arrivals in one batch; default 500. */
  batch?: number
  /** Also return the copies that `copyOn` made. Default false. */
  copies?: boolean
}

/** A batch of a full scan. `passed`: whether each arrival is before its writer's cursor, in the order of `arrivals`. */
export type ScanBatch = Batch & {
  passed: boolean[]
}

/** The messages that still wait in a segment, according to the Queue Manager. */
export type Waiting = {
  messages: number
  bytes: number
}

export type Reclaimed = {
  /** Removed segments. Locations in them must not be used any more. */
  removed: Segment[]
  /** Number of bytes freed. */
  freed: number
  /** Segments in which few messages wait, emptiest first. Copy those messages, and the next reclaim removes the segments. */
  sparse: Segment[]
}

export type SpoolReader = {
  /**
   * Yields everything that each writer, present and future, made durable after its cursor, and waits for more until the
   * signal ends it. Wakes within milliseconds of a commit. The next batch is read only on request. Messages are verified
   * whole before they are returned, except the bodies of large ones (over 16 KiB) that a living writer has just stored,
   * and of those over 1 MiB: they are verified when they are read.
   */
  follow(options: FollowOptions): AsyncIterable<Batch>

  /**
   * Reads everything that is durable when it begins, for every writer from its oldest segment on, including copies, and
   * ends after the last segment. Used to rebuild an index: the same message may occur several times, as itself and as
   * copies. Rejects with SpoolFailure for a segment of another release.
   */
  scan(before: Cursors): AsyncIterable<ScanBatch>

  /** Returns the whole message, prefix and body, after verifying it. For small messages. Rejects with SpoolDamaged. */
  readBody(location: Location): Promise<Buffer>

  /**
   * Returns the message as a stream in bounded memory. Up to 1 MiB it is verified before the first byte. Beyond that,
   * the last chunk is held back until the checksum matches. If it does not, the stream is destroyed with SpoolDamaged.
   * Never complete a delivery whose stream did not end.
   */
  openBody(location: Location): Readable

  readEnvelope(location: Location): Promise<Envelope>

  /**
   * Reclaims the segments that are no longer written, completely taken over, and without waiting messages. `cursors`
   * are those committed by the Queue Manager. `waiting` has an entry for each segment with at least one waiting
   * message. Add an entry for a segment that should be kept for another reason (e.g. to examine damage).
   */
  reclaim(books: { cursors: Cursors; waiting: ReadonlyMap<Segment, Waiting> }): Promise<Reclaimed>

  /**
   * Copies a waiting message durably into `to`, the Queue Manager's own writer, and returns its new location, which
   * then replaces the old one in the Queue Manager. Verifies the message on the way: rejects with SpoolDamaged,
   * SpoolFull or SpoolFailure. May use half of the reserve, so that a nearly full disk can still be cleaned up.
   */
  copyOn(location: Location, to: SpoolWriter): Promise<Stored>

  close(): Promise<void>
}
