import { type RuleReason, ruleReasons } from './rules.ts'

/** Reasons that come from no rule: those of the session itself, and of `accept`. */
const otherReasons = [
  'accepted',
  'bad-sequence',
  'auth-refused',
  'service-stopping',
  'timeout',
  'protocol-error',
] as const

export type Reason = RuleReason | (typeof otherReasons)[number]

/** A closed list: metrics, events, headers and the console use the same word. */
export const reasons = [...new Set([...otherReasons, ...ruleReasons])] as [Reason, ...Reason[]]
