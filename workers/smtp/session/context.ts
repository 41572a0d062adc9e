import type { Policy } from '@postern/policy/policy.ts'
import type { CommandReceiver } from '../commands/command.ts'
import type { MessageReceiver } from '../message/accept.ts'
import type { Offences } from '../record/offences.ts'
import type { FactSink } from '../record/session-facts.ts'
import type { LogSink } from '../record/session-log.ts'

/** What all sessions of a worker share. */
export type ReceiverContext = CommandReceiver &
  MessageReceiver &
  LogSink & {
    readonly policy: Policy
    readonly spool: MessageReceiver['spool']
    /** Where the facts of decisions go; absent when nobody wants them. */
    readonly facts?: FactSink | undefined
    readonly offences: Offences
    /** No new session is greeted. */
    readonly stopping: boolean
    /** Counts a session in. @returns what the connect rules ask, this one included */
    enter(ip: string): { sessionsOpen: number; sessionsFromAddress: number }
    gone(ip: string): void
    /** An error that no client caused: for the operator's log. */
    trouble(error: unknown): void
  }
