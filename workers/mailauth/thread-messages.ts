import type { Location } from '@postern/spool/spool.ts'
import type { Question, VerifyResult } from './verify.ts'

/** Messages between the event loop and a verifying thread. Several may be sent together. */

export type Setup = {
  /** `address[:port]` each. Empty: the system's servers. */
  servers: readonly string[]
  /** Where stored messages are read. Absent if messages are handed over. */
  spool?: string
}

export type ThreadRequest =
  | { kind: 'stored'; id: number; question: Question; location: Location; bytes: number }
  | { kind: 'whole'; id: number; question: Question; message: Uint8Array }
  /** The message follows in pieces. */
  | { kind: 'sent'; id: number; question: Question }
  | { kind: 'piece'; id: number; pieces: Uint8Array[]; last: boolean }
  /** The result is no longer needed. */
  | { kind: 'dropped'; id: number }

export type ThreadResponse =
  | { kind: 'verified'; id: number; result: VerifyResult }
  | { kind: 'failed'; id: number; error: string }
  /** The thread has processed all pieces it was sent. */
  | { kind: 'more'; id: number }
