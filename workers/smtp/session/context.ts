import type { EventType } from '@postern/contract/events.ts'
import type { SessionFacts } from '@postern/contract/facts.ts'
import { hostNameOf } from '@postern/contract/host-name.ts'
import type { HackAttempt } from '@postern/contract/offences.ts'
import type { ReplyName } from '@postern/contract/replies.ts'
import type { Reason, ReplyValues, Verdict } from '@postern/contract/verdict.ts'
import type { Policy } from '@postern/policy/policy.ts'
import type { RecordEvent } from '@postern/runtime/worker.ts'
import type { SpoolWriter } from '@postern/spool/spool.ts'
import type { Credentials } from '../auth/credentials.ts'
import type { Tokens } from '../auth/tokens.ts'
import type { QueueRuns } from '../commands/queue-runs.ts'
import type { LookupClients } from '../lookups/ask.ts'
import type { Rates } from '../lookups/rates.ts'
import type { Counters } from '../record/counters.ts'
import type { Offences } from '../record/offences.ts'
import type { FactSink, SessionFactsRecorder } from '../record/session-facts.ts'
import type { Transaction } from './transaction.ts'

/** What all sessions of a worker share. */
export type ReceiverContext = {
  /** The worker's name, e.g. `smtp-1`. */
  readonly id: string
  /** The machine's own name. */
  readonly machine: string
  /** In force now; another object after each change. */
  readonly policy: Policy
  readonly tlsAvailable: boolean
  readonly spool: SpoolWriter
  readonly record: RecordEvent
  /** Whether the log has events of this type now. */
  wants(type: EventType): boolean
  /** Where the facts of decisions go; absent when nobody wants them. */
  readonly facts?: FactSink | undefined
  readonly credentials: Credentials
  readonly tokens: Tokens
  /** Of whom is asked what we do not know ourselves. */
  readonly lookupClients: LookupClients
  readonly queueRuns: QueueRuns
  /** Says that there was no room; once in a while, however often it is asked. */
  spoolFull(): void
  readonly counters: Counters
  readonly offences: Offences
  readonly rates: Rates
}

/** What a refusal was about, for its event. */
export type About = { sender?: string; recipient?: string; login?: string; mechanism?: string }

/** How the client broke the protocol. `line`: what it said, where that is no command. */
export type Fault = { values?: ReplyValues; reason?: Reason; detail: string; line?: string }

/** What a command may do to its session. */
export interface SessionContext {
  readonly receiver: ReceiverContext
  readonly facts: SessionFacts
  /** Sees the facts of each decision. */
  readonly recorder: SessionFactsRecorder
  transaction: Transaction | undefined
  /** EHLO was said, not HELO. */
  extended: boolean
  /** The next line is not a command but goes here: an answer within AUTH. */
  expect: ((line: string) => void) | undefined

  /** What watched and marking rules said of this session; a stage that is decided again says it anew. */
  readonly marks: { readonly [stage in 'connect' | 'hello' | 'auth']: readonly string[] }
  mark(verdict: Verdict): void
  /** Tells the log what watched rules would have done, whether or not a message comes of it. */
  watch(verdict: Verdict): void
  /** The facts as of now. */
  refresh(): SessionFacts
  reply(name: ReplyName, values?: ReplyValues): void
  /** Lines of one reply that are made already. */
  write(text: string): void
  /** Writes what a verdict says to the client and records a refusal. @returns whether mail proceeds */
  settle(verdict: Verdict, about?: About): boolean
  /** The client broke the protocol: the reply, and an event for the first few of a session. */
  fault(reply: ReplyName, why: Fault): void
  /** Reports what no mail client does. @returns whether the session is to end, once its reply is given */
  attempted(attempt: HackAttempt, evidence: string): boolean
  /** No command is read until this settles; a rejection is answered with 451 4.3.0. */
  wait(work: Promise<void>): void
  /** Everything until the end of data is the message. */
  readBody(): void
  /** So many octets are a chunk of the message (RFC 3030). With `refuse` they are dropped, and then it answers. */
  readChunk(chunk: { octets: number; last: boolean }, refuse?: () => void): void
  /** The transaction is over, and what came of its message is dropped. */
  forget(): void
  startTls(): void
  /** Sends what was said and ends the session; what the client sent after is not read. */
  leave(): void
  /** As `leave`, when the client has said that it sends no more. */
  bye(): void
}

/** The name this server goes by. */
export function hostName(policy: Policy, machine: string): string {
  return hostNameOf(policy.settings.general.hostname, machine)
}
