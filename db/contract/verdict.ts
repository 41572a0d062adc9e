import type { Recipient } from './envelope.ts'
import type { Reason } from './reasons.ts'
import type { ReplyName } from './replies.ts'
import type { Rule, Stage } from './rules.ts'

export type ReplyValues = Readonly<Record<string, string | number>>

/** What happens now. `refuse` and `answer` carry the reply; `close` says that the connection ends with it. */
export type Outcome =
  | { kind: 'proceed' }
  | { kind: 'refuse'; reply: ReplyName; values?: ReplyValues; close: boolean }
  | { kind: 'answer'; replies: readonly { reply: ReplyName; values?: ReplyValues }[] }

/** What one rule said. `watched`: it would have decided, but runs in watch mode. `not-known`: a fact was missing, so it did not decide. */
export type TrailStep = {
  rule: Rule
  said: 'passed' | 'decided' | 'watched' | 'not-known' | 'exempt'
  because?: string
}

export type Verdict = {
  stage: Stage
  outcome: Outcome
  /** The rule that decided. */
  rule: Rule
  reason: Reason
  /** Settings revision in force. */
  revision: number
  /** Sentences for the administrator: which entry, which setting, which fact. Never shown to the client. */
  explanation: readonly string[]
  /** In the order they were asked, the deciding rule last. */
  trail: readonly TrailStep[]
}

/** Where an accepted recipient's mail goes: one RCPT may become many recipients, or none of ours (relayed). */
export type RcptVerdict = Verdict & { recipients: readonly Recipient[]; relayed: boolean }

/** What a rule wants done with a message that is accepted all the same. `noted` is its sentence for the trail. */
export type Treatment = {
  noted: string
  /** It waits in the queue until it is released; the reason is shown to the operator. */
  hold?: string
  /** Fields that go before the message, checked to be one line each. */
  headers?: readonly { name: string; value: string }[]
  /** These get it in place of its recipients; their `original` is filled in by whoever knows it. */
  redirect?: readonly Recipient[]
}

/** `normalize`: bare CR and LF become CRLF before anything is stored. `treatments`: in the order of their rules. */
export type DataVerdict = Verdict & { lineFeeds: 'as-is' | 'normalize'; treatments: readonly Treatment[] }

/** `delaySeconds`: each reply from now on waits so long. Such a verdict is an answer without replies. */
export type FaultVerdict = Verdict & { delaySeconds: number }
