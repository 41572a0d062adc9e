import type { RecipientState } from '../message/message.ts'
import type { ClockReading, ClockStart } from '../message/queue-clock.ts'
import type { Counted, FinalOutcome } from './counts.ts'

/** What the index keeps of waiting mail, as it crosses between the event loop and the index's thread: arrays, no classes. */

/** `r`: the recipient's index in the envelope. `nextAt`: by the queue's clock. `cause`: why it waits (message/waiting-reason.ts). */
export type RecipientRow = {
  r: number
  domain: string
  state: RecipientState
  tries: number
  nextAt: number
  cause: string
}

/** `n`: our own number for a message, never used twice. `rerouted`: `host:port` or empty. */
export type MessageRow = {
  n: number
  id: string
  location: string
  segment: string
  bytes: number
  /** By the queue's clock: what `waited` was when it came. */
  waitsSince: number
  rerouted: string
  warned: boolean
  /** How the delivered message differs, as text; empty: not known yet. */
  headerEdits: string
  /** What an operator is shown (message/summary.ts), as JSON. Only written: empty in what comes from the index. */
  summary: string
  recipients: RecipientRow[]
}

export type Update = Omit<RecipientRow, 'domain'> & { n: number }

/** One transaction. Rows that are updated or removed were active before. */
export type Commit = {
  /** Messages that are finished in batches that are not: by the batch's writer and cursor. Gone when the cursor is committed. */
  finished: { writer: string; cursor: string; ids: string[] }[]
  /** The new cursor, and those of the batches it covers that have finished messages noted. */
  cursors: [writer: string, cursor: string, batches: string[]][]
  insert: MessageRow[]
  update: Update[]
  remove: { n: number; r: number[]; outcome: FinalOutcome }[]
  /** Of recipients that never had a row. */
  counts: Counted
  relocate: { n: number; location: string; segment: string }[]
  warned: number[]
  overlay: { n: number; overlay: string }[]
  orders: { id: string; at: number }[]
  clock?: ClockReading
}

export type Counts = { messages: number; recipients: [active: number, deferred: number, held: number] }

/**
 * `lost`: it is not there. `damaged`: it cannot be read. `foreign`: it belongs to other segments. `older`: it was put back,
 * and segments may have been given back since. `unsure`: only one of index and segments says to which other it belongs.
 */
export type Rebuild = 'lost' | 'damaged' | 'foreign' | 'older' | 'unsure'

export type Opened = {
  /** Why the index has to be compared with all segments before anything is delivered; absent: it need not be. */
  rebuild?: Rebuild
  /** Where the queue's clock goes on. */
  clock: ClockStart
  cursors: [writer: string, cursor: string][]
  /** Ids beyond the cursors that need no second delivery. */
  finished: string[]
  counts: Counts
  lastN: number
  /** Recipients that were being worked on when the process before ended without stopping. */
  interrupted: number
  /** Set when the file was unusable: it has this name now, and this index is empty. */
  movedTo?: string
  /** The process before was killed, or the machine stopped. */
  unclean: boolean
  tookMs: number
}

export type OrderEffect = {
  action: 'hold' | 'release' | 'retry' | 'reroute'
  ids: string[]
  at: number
  by: string
  rerouted: string
}
