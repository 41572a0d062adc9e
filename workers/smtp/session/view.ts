import type { DataFacts } from '@postern/contract/facts.ts'
import type { HackAttempt } from '@postern/contract/offences.ts'
import type { DataVerdict, Verdict } from '@postern/contract/verdict.ts'
import type { CommandSession } from '../commands/command.ts'
import type { Transaction } from '../message/transaction.ts'
import type { SessionFactsRecorder } from '../record/session-facts.ts'
import type { ReceiverContext } from './context.ts'
import type { LineReader } from './line-reader.ts'
import type { Phase } from './phase.ts'

/** The session as its own parts see it: greeting, decisions, command and message reader, timeouts. */
export type SessionView = CommandSession & {
  readonly receiver: ReceiverContext
  readonly recorder: SessionFactsRecorder
  readonly phase: Phase
  readonly reader: LineReader | undefined
  /** Nothing more is sent or read. */
  readonly isOver: boolean
  /** Commands wait for us. */
  readonly isWaiting: boolean
  /** Replies that were not sent yet. */
  readonly hasReplies: boolean
  /** The client sent something before the banner. */
  readonly hasTalkedEarly: boolean
  /** What watched and marking rules said so far. */
  readonly rules: readonly string[]
  enter(phase: Phase): void
  /** The banner. */
  greet(): void
  /** Ends the session when an error limit or a hack attempt says so. @returns whether there was a verdict */
  judge(verdict: Verdict | undefined): boolean
  /** Reports what no mail client does. @returns whether the session is to end, once its reply is given */
  hackAttempt(attempt: HackAttempt, evidence: string): boolean
  /** Answers a message that was refused, and records it. */
  refuseMessage(transaction: Transaction, verdict: Verdict, size: number): void
  messageDecided(facts: DataFacts, verdict: DataVerdict): void
  /** A message has its answer. */
  messageEnded(): void
  /** The client has the time of a command, or of a handshake. */
  awaitCommand(): void
  /** The client has the time of the next bytes of a message. */
  awaitData(): void
  /** Past the soft error limit the replies wait. */
  delayReplies(): void
  /** Sends the replies. */
  flush(): void
  /** What was waited for failed. */
  broken(error: unknown): void
}
