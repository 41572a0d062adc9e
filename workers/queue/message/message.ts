import type { Envelope } from '@postern/contract/envelope.ts'
import type { Cursor, Location, Segment } from '@postern/spool/spool.ts'
import type { HeaderEdits } from './header-edits.ts'

/** The state of a recipient without a final outcome, as the index stores it. `active`: in memory, being delivered. */
export const active = 0 as const
export const deferred = 1 as const
export const held = 2 as const
export type RecipientState = 0 | 1 | 2

/** A recipient without a final outcome. */
export type PendingRecipient = {
  state: RecipientState
  /** Failed tries so far. */
  tries: number
  /** By the queue's clock. */
  nextAt: number
  /** Why it waits (waiting-reason.ts). */
  cause: string
}

/** An active message: taken over from the spool a moment ago, or loaded because it is due. */
export type QueuedMessage = {
  readonly n: number
  readonly envelope: Envelope
  location: Location
  segment: Segment
  readonly bytes: number
  /** By the queue's clock: what `waited` was when it came. */
  readonly waitsSince: number
  /** How the delivered message differs from the stored one; absent: not at all. */
  headerEdits: HeaderEdits | undefined
  /** DKIM-Signature fields, made at the first try that needed them; empty: it is not signed. */
  signature: string | undefined
  /** Whether it has lines that are too long and can be converted; absent: not checked yet. */
  hasLongLines?: boolean
  /** Whether the index has a row for it; until then only its batch knows it. */
  recorded: boolean
  batch: Batch | undefined
  rerouted: { host: string; port: number } | undefined
  /** The delay warning was given. */
  warned: boolean
  /** Recipients in memory without a final outcome, by their index in the envelope. */
  readonly pending: Map<number, PendingRecipient>
  /** Recipients that got their outcome before the message had a row. */
  delivered: number
  bounced: number
  discarded: number
  /** What an operator ordered while it was being delivered: done when the attempt comes back. */
  ordered: 'hold' | 'bounce' | 'delete' | undefined
  orderedBy: string
}

/**
 * What one writer brought at once: the unit of record. Most mail is delivered within milliseconds, so a batch that is
 * finished never costs a row, only its cursor. Until then its finished messages are noted together, so that a crash does not
 * deliver them again; what is left after the batch timeout gets rows.
 */
export type Batch = {
  readonly writer: string
  readonly cursor: Cursor
  /** As `performance.now()` says. */
  readonly takenAt: number
  readonly messages: QueuedMessage[]
  /** Recipients being worked on. */
  busy: number
  /** Ids of messages that are finished, and how many of them are noted in the index. */
  readonly finished: string[]
  noted: number
  /** Of finished messages that are not noted. */
  counts: { messages: number; received: number; delivered: number; bounced: number; discarded: number }
}

/** Milliseconds. Long enough for a few thousand messages to be delivered without rows. */
export const maxBatchAgeMs = 3000

/** One delivery to make: a message, and those of its recipients that have the same next hop. */
export type DeliveryJob = {
  mail: QueuedMessage
  recipients: number[]
  /** It was tried before: it may use only the threads for retries. */
  retry: boolean
}

/**
 * RFC 8689. `required`: over verified TLS, to a server that promises to do the same, or not at all (§4.2.1).
 * `preferred`: the same where possible, because nobody could be told of a failure (§5).
 */
export type RequireTls = 'no' | 'preferred' | 'required'

/** A message with a null sender is delivered without REQUIRETLS rather than lost (RFC 8689 §5). */
export function requireTlsOf({ requireTls, sender }: Envelope): RequireTls {
  if (!requireTls) return 'no'
  return sender === '' ? 'preferred' : 'required'
}

export function domainOf(address: string): string {
  return address.slice(address.lastIndexOf('@') + 1)
}
