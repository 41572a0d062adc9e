import { type RuleCheck, refuse } from '../rule.ts'

/** RFC 1870 §6.3: refuses a message that is too large at the end of data. */
export const messageSize: RuleCheck<'message-size'> = ({ size }, { settings }) => {
  const { maxMessageBytes: limit } = settings.general
  if (limit === 0 || !(size > limit)) return 'pass'
  return refuse(
    { reply: 'messageTooLarge', values: { limit } },
    `The message has ${size} bytes; general.maxMessageBytes is ${limit}.`,
  )
}
