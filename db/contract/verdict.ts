import type { Recipient } from './envelope.ts'
import type { Reason } from './reasons.ts'
import type { ReplyName } from './replies.ts'
import type { Rule, Stage } from './rules.ts'

export type ReplyValues = Readonly<Record<string, string | number>>

/** The next step. `refuse` and `answer` carry the reply; `close` means that the connection ends with it. */
export type Outcome =
  | { kind: 'proceed' }
  | { kind: 'refuse'; reply: ReplyName; values?: ReplyValues; close: boolean }
  | { kind: 'answer'; replies: readonly { reply: ReplyName; values?: ReplyValues }[] }

/**
 * The result of one rule. `watched`: it would have decided, but runs in watch mode. `not-known`: a fact was missing, so
 * it did not decide.
 */
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
  /** The settings revision in force. */
  revision: number
  /** Sentences for the administrator about the entry, the setting and the fact. Never shown to the client. */
  explanation: readonly string[]
  /** In the order in which the rules were asked. The deciding rule is last. */
  trail: readonly TrailStep[]
}

/** The destinations of an accepted recipient's mail. One RCPT may become many recipients, or no local one (relayed). */
export type RcptVerdict = Verdict & { recipients: readonly Recipient[]; relayed: boolean }

/** What a rule does with an accepted message. `noted` is the rule's sentence for the trail. */
export type Treatment = {
  noted: string
  /** The message waits in the queue until it is released. The reason is shown to the operator. */
  hold?: string
  /** Header fields to add before the message. Each was checked to be one line. */
  headers?: readonly { name: string; value: string }[]
  /** Recipients that replace the message's own. The caller that knows their `original` fills it in. */
  redirect?: readonly Recipient[]
}

/** `normalize`: bare CR and LF become CRLF before anything is stored. `treatments`: in the order of their rules. */
export type DataVerdict = Verdict & { lineFeeds: 'as-is' | 'normalize'; treatments: readonly Treatment[] }

/** `delaySeconds`: the delay before each reply from now on. Such a verdict is an answer without replies. */
export type FaultVerdict = Verdict & { delaySeconds: number }
