import { type RuleCheck, refuse } from '../rule.ts'

/** RFC 5321 §4.5.3.1.10: the client sends the remaining recipients in another transaction. */
export const recipientCount: RuleCheck<'recipient-count'> = ({ facts: { recipientsSoFar } }, { settings }) => {
  const { maxRecipients } = settings.advanced
  if (maxRecipients === 0 || recipientsSoFar < maxRecipients) return 'pass'
  return refuse(
    { reply: 'tooManyRecipients' },
    `${recipientsSoFar} recipients have already been accepted; advanced.maxRecipients is ${maxRecipients}.`,
  )
}
