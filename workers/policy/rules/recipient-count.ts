import { type Questions, type RuleRow, refuse } from '../rule.ts'

/** RFC 5321 §4.5.3.1.10: the client sends the rest in another transaction. */
export const recipientCount: RuleRow<Questions['rcpt']> = {
  name: 'recipient-count',
  ask({ facts: { recipientsSoFar } }, { settings }) {
    const { maxRecipients } = settings.advanced
    if (maxRecipients === 0 || recipientsSoFar < maxRecipients) return 'pass'
    return refuse(
      { reply: 'tooManyRecipients', reason: 'too-many-recipients' },
      `${recipientsSoFar} recipients are accepted already; advanced.maxRecipients is ${maxRecipients}.`,
    )
  },
}
