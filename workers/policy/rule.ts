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

/** What each stage's rules are asked: the facts, and what several of them read out of the facts in the same way. */
export type Questions = {
  connect: ConnectFacts
  hello: HelloFacts
  auth: AuthFacts
  mail: { facts: MailFacts; sender: Sender }
  /** `expansion` is filled in by the rule that asks for it first, and read by the verdict. */
  rcpt: { facts: RcptFacts; target: Target; expansion?: Expansion }
  data: DataFacts
  fault: FaultFacts
  vrfy: { facts: AskFacts; target: Target }
  expn: { facts: AskFacts; target: Target }
}

/** A rule has decided. The first sentence names entry, setting and fact; it also stands in the trail. */
export type Decision<Reply extends ReplyName = ReplyName> = {
  outcome:
    | { kind: 'refuse'; reply: Reply; values?: ReplyValues; close: boolean }
    | { kind: 'answer'; replies: readonly { reply: Reply; values?: ReplyValues }[] }
  explanation: readonly string[]
  /** Watched or not: past this there is nothing to go on with. */
  unavoidable?: true
}

/**
 * `missing`: a fact that the rule needs is not there or not known; when it was not asked for yet, the receiver asks and decides
 * again. `marks`: the rule has something to say and, by its setting, decides nothing: the step stands in the trail as watched.
 * `treat`: mail proceeds, and this is done with it. Only rules of the stage `data` say so.
 */
export type Said<R extends Rule = Rule> =
  | 'pass'
  | Decision<ReplyOf<R>>
  | { missing: string }
  | { marks: string }
  | { treat: Treatment }

/**
 * What a rule says. Pure and total: it answers for any facts and never throws. Its stage, the look-up that it reads, its replies
 * and their reasons are in its row in the contract.
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

/** The sender as an address; `null` for the null sender and for what could not be read. */
export function senderAddress(sender: Sender): MailAddress | null {
  return sender === 'null-sender' ? null : sender
}
