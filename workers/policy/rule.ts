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
import type { Lookups } from '@postern/contract/lookups.ts'
import type { ReplyName } from '@postern/contract/replies.ts'
import type { Rule } from '@postern/contract/rules.ts'
import type { Outcome, Reason, ReplyValues, Treatment } from '@postern/contract/verdict.ts'
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
export type Decision = {
  outcome: Exclude<Outcome, { kind: 'proceed' }>
  reason: Reason
  explanation: readonly string[]
  /** Watched or not: past this there is nothing to go on with. */
  unavoidable?: true
}

/**
 * `missing`: a fact that the rule needs is not there or not known; when it was not asked for yet, the receiver asks and decides
 * again. `marks`: the rule has something to say and, by its setting, decides nothing: the step stands in the trail as watched.
 * `treat`: mail proceeds, and this is done with it. Only rules of the stage `data` say so.
 */
type Said = 'pass' | Decision | { missing: string } | { marks: string } | { treat: Treatment }

/** One row of a stage's table. Pure and total: `ask` answers for any facts and never throws. */
export type RuleRow<Question> = {
  name: Rule
  /** The rule is not asked about clients in the White List. */
  exemptsWhiteListed?: true
  /** The look-up it reads: without it in the record, a replay cannot say what this rule would answer. */
  reads?: keyof Lookups
  ask(question: Question, policy: Policy): Said
}

type Refusal = { reply: ReplyName; reason: Reason; values?: ReplyValues; close?: boolean }

export function refuse({ reply, reason, values, close = false }: Refusal, ...explanation: string[]): Decision {
  return { outcome: { kind: 'refuse', reply, ...(values && { values }), close }, reason, explanation }
}

export function answer(
  replies: readonly { reply: ReplyName; values?: ReplyValues }[],
  reason: Reason,
  ...explanation: string[]
): Decision {
  return { outcome: { kind: 'answer', replies }, reason, explanation }
}

/** The sender as an address; `null` for the null sender and for what could not be read. */
export function senderAddress(sender: Sender): MailAddress | null {
  return sender === 'null-sender' ? null : sender
}
