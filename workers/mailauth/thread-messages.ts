import type { Location } from '@postern/spool/spool.ts'
import type { Question, VerifyResult } from './verify.ts'

/** What the event loop and an verifying thread say to each other. Several at once travel together. */

export type Setup = {
  /** `address[:port]` each; empty: the system's. */
  servers: readonly string[]
  /** Where stored messages are read; absent where they are handed over. */
  spool?: string
}

export type ThreadRequest =
  | { kind: 'stored'; id: number; question: Question; location: Location; octets: number }
  | { kind: 'whole'; id: number; question: Question; message: Uint8Array }
  /** The message follows in pieces. */
  | { kind: 'sent'; id: number; question: Question }
  | { kind: 'piece'; id: number; pieces: Uint8Array[]; last: boolean }
  /** Nobody waits for it any more. */
  | { kind: 'dropped'; id: number }

export type ThreadResponse =
  | { kind: 'verified'; id: number; result: VerifyResult }
  | { kind: 'failed'; id: number; error: string }
  /** The pieces sent are used up. */
  | { kind: 'more'; id: number }
