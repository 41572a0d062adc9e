import type { MailAddress } from '@postern/contract/address.ts'
import type {
  AskFacts,
  AuthFacts,
  ConnectFacts,
  DataFacts,
  FaultFacts,
  HelloFacts,
  MailFacts,
  RcptFacts,
} from '@postern/contract/facts.ts'
import type { ReplyName } from '@postern/contract/replies.ts'
import type { AskedRule, ReplyOf, Rule, StageOf } from '@postern/contract/rules.ts'
import type { ReplyValues, Treatment } from '@postern/contract/verdict.ts'
import type { Expansion } from './expand.ts'
import type { Sender, Target } from './path.ts'
import type { Policy } from './policy.ts'

/** The input of each stage's rules: the facts, and values that several rules derive from them. */
export type Questions = {
  connect: ConnectFacts
  hello: HelloFacts
  auth: AuthFacts
  mail: { facts: MailFacts; sender: Sender }
  /** `expansion` is filled in by the first rule that needs it, and read by the verdict. */
  rcpt: { facts: RcptFacts; target: Target; expansion?: Expansion }
  data: DataFacts
  fault: FaultFacts
  vrfy: { facts: AskFacts; target: Target }
  expn: { facts: AskFacts; target: Target }
}

/** The decision of a rule. The first sentence names entry, setting and fact, and also appears in the trail. */
export type Decision<Reply extends ReplyName = ReplyName> = {
  outcome:
    | { kind: 'refuse'; reply: Reply; values?: ReplyValues; close: boolean }
    | { kind: 'answer'; replies: readonly { reply: Reply; values?: ReplyValues }[] }
  explanation: readonly string[]
  /** Applies even in watch mode, because the session cannot continue without this decision. */
  unavoidable?: true
}

/**
 * The result of a rule.
 * - `missing`: a fact that the rule needs is absent or not known. If it was not looked up yet, the receiver looks it up
 *   and decides again.
 * - `marks`: the rule matches but its setting lets it decide nothing. The trail shows the step as watched.
 * - `treat`: the mail proceeds, with this treatment. Only rules of the stage `data` return it.
 */
export type Said<R extends Rule = Rule> =
  | 'pass'
  | Decision<ReplyOf<R>>
  | { missing: string }
  | { marks: string }
  | { treat: Treatment }

/**
 * A rule. Pure and total: it answers for any facts and never throws. Its stage, its look-up, its replies and their
 * reasons are in its row in the contract.
 */
export type RuleCheck<R extends AskedRule> = (question: Questions[StageOf<R>], policy: Policy) => Said<R>

type Refusal<Reply> = { reply: Reply; values?: ReplyValues; close?: boolean }

export function refuse<Reply extends ReplyName>(
  { reply, values, close = false }: Refusal<Reply>,
  ...explanation: string[]
): Decision<Reply> {
  return { outcome: { kind: 'refuse', reply, ...(values && { values }), close }, explanation }
}

export function answer<Reply extends ReplyName = never>(
  replies: readonly { reply: Reply; values?: ReplyValues }[],
  ...explanation: string[]
): Decision<Reply> {
  return { outcome: { kind: 'answer', replies }, explanation }
}

/** Returns the sender as an address; `null` for the null sender and for unreadable senders. */
export function senderAddress(sender: Sender): MailAddress | null {
  return sender === 'null-sender' ? null : sender
}
