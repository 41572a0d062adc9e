import { type RuleCheck, refuse } from '../rule.ts'

/** RFC 1870 §6.1: refuses a message that is declared as too large, before it is sent. */
export const declaredSize: RuleCheck<'declared-size'> = ({ facts: { declaredSize: declared } }, { settings }) => {
  const { maxMessageBytes: limit } = settings.general
  if (limit === 0 || declared === undefined || !(declared > limit)) return 'pass'
  return refuse(
    { reply: 'messageTooLarge', values: { limit } },
    `The client declares ${declared} bytes; general.maxMessageBytes is ${limit}.`,
  )
}
