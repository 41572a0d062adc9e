import { type Questions, type RuleRow, refuse } from '../rule.ts'

/** RFC 1870 §6.3: what is found to be too large at the end of data. */
export const messageSize: RuleRow<Questions['data']> = {
  name: 'message-size',
  ask({ size }, { settings }) {
    const { maxMessageBytes: limit } = settings.general
    if (limit === 0 || !(size > limit)) return 'pass'
    return refuse(
      { reply: 'messageTooLarge', reason: 'too-large', values: { limit } },
      `The message has ${size} octets; general.maxMessageBytes is ${limit}.`,
    )
  },
}
