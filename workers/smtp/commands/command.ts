import type { SessionFacts } from '@postern/contract/facts.ts'
import type { Lookups } from '@postern/contract/lookups.ts'
import type { Reason } from '@postern/contract/reasons.ts'
import type { ReplyName } from '@postern/contract/replies.ts'
import type { ReplyValues, Verdict } from '@postern/contract/verdict.ts'
import type { Policy } from '@postern/policy/policy.ts'
import type { Logins } from '../auth/logins.ts'
import type { VerdictOf } from '../lookups/decide.ts'
import type { FactsOf } from '../lookups/required-lookups.ts'
import type { Transaction } from '../message/transaction.ts'
import type { About } from '../record/session-log.ts'

/** One command a row; the protocol's rules about it are columns. */
export type Command = {
  verb: string
  /** Shown by HELP. */
  syntax: string
  /** RFC 5321 §4.1.4: only after HELO or EHLO. */
  afterHello: boolean
  argument: 'none' | 'optional' | 'required'
  /** Bytes a line may have with its CRLF: 512 (RFC 5321 §4.5.3.1.4) and what the extensions add. */
  longest: number
  run(session: CommandSession, argument: string): void
}

export const plainLine = 512
/** RFC 4954 §4: AUTH responses may have 12288 bytes; no line is longer. */
export const longestLine = 12_288

/** Of the receiver, what commands use. */
export type CommandReceiver = {
  /** The machine's own name. */
  readonly machine: string
  /** In force now; another object after each change. */
  readonly policy: Policy
  readonly tlsAvailable: boolean
  readonly spool: { hasRoom(bytes?: number): boolean }
  /** Reports a full spool, at most once a minute. */
  spoolFull(): void
  readonly logins: Logins
  /** Has the queue of a domain tried now (ETRN). Rejects when the API cannot be reached. */
  runQueue(domain: string, by: string): Promise<void>
}

/** How the client broke the protocol. `line`: what it sent, where that is no command. */
export type ProtocolError = { values?: ReplyValues; reason?: Reason; detail: string; line?: string }

/** The stages that a session decides; the end of data is decided by its message. */
export type SessionStage = 'connect' | 'hello' | 'auth' | 'mail' | 'rcpt'

export type StageStep<S extends SessionStage> = {
  /** Whose policy decides: the receiver's, or the one of a transaction. */
  under: { readonly policy: Policy }
  /** For the event of a refusal. */
  about?: About
  /** The account that is logging in, for its rate. */
  login?: string | undefined
  /** The facts with what was looked up; `undefined` when the session has ended meanwhile. Without it: `{ ...facts, lookups }`. */
  again?: ((lookups: Lookups) => FactsOf[S] | undefined) | undefined
  proceed(facts: FactsOf[S], verdict: VerdictOf[S]): void
  refused?(verdict: Verdict): void
}

/** What a command may do to its session. */
export type CommandSession = {
  readonly receiver: CommandReceiver
  readonly facts: SessionFacts
  transaction: Transaction | undefined
  /** EHLO was said, not HELO. */
  extended: boolean
  /** The facts as of now. */
  refresh(): SessionFacts
  reply(name: ReplyName, values?: ReplyValues): void
  /** Lines of one reply, as they are sent. */
  write(text: string): void
  /** The client broke the protocol: the reply, and an event for the first few of a session. */
  protocolError(reply: ReplyName, error: ProtocolError): void
  /** Looks up what the decision needs, answers a refusal, and calls `proceed` otherwise: at once where nothing is looked up. */
  decide<S extends SessionStage>(stage: S, facts: FactsOf[S], step: StageStep<S>): void
  /** Answers what a verdict refuses, and records it. @returns whether mail proceeds */
  settle(verdict: Verdict, about?: About): boolean
  /** What watched and marking rules said of this session, for its messages; a stage that is decided again replaces its notes. */
  noteRules(verdict: Verdict): void
  /** The next line is an answer within AUTH, and no command. */
  awaitResponse(take: (line: string) => void): void
  loggedIn(login: string, mechanism: string): void
  /** No command is read until this settles; a rejection is answered with 451 4.3.0. */
  wait(work: Promise<unknown>): void
  /** Everything until the end of data is the message. */
  readBody(): void
  /** The next bytes are a chunk of the message (RFC 3030). With `refuse` they are dropped, and then it answers. */
  readChunk(chunk: { bytes: number; last: boolean }, refuse?: () => void): void
  /** Ends the transaction, and drops its message. */
  forget(): void
  startTls(): void
  /** Sends the replies and ends the session; what the client sent after is not read. */
  leave(): void
  /** As `leave`, after QUIT. */
  quit(): void
}
