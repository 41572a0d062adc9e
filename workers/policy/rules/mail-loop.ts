import { type RuleCheck, refuse } from '../rule.ts'

/** RFC 5321 §6.3: the limit must be at least 100 Received headers. */
const maxHops = 100

export const mailLoop: RuleCheck<'mail-loop'> = ({ hops }) => {
  if (hops <= maxHops) return 'pass'
  return refuse(
    { reply: 'mailLoop', values: { hops } },
    `The message has ${hops} Received headers; more than ${maxHops} is a loop.`,
  )
}
