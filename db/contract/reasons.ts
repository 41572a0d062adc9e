import { type RuleReason, ruleReasons } from './rules.ts'

/** Reasons that no rule gives: of the session itself, and of `accept`. */
const otherReasons = [
  'accepted',
  'bad-sequence',
  'auth-refused',
  'service-stopping',
  'timeout',
  'protocol-error',
] as const

export type Reason = RuleReason | (typeof otherReasons)[number]

/** A closed list: the same word in metric, event, header and console. */
export const reasons = [...new Set([...otherReasons, ...ruleReasons])] as [Reason, ...Reason[]]
