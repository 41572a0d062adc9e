import { type RuleCheck, refuse } from '../rule.ts'

/** Ends a session that has guessed as many recipients as the limit allows over all sessions within the window. */
export const invalidRecipients: RuleCheck<'invalid-recipients'> = ({ invalidRecipients }, { settings }) => {
  const { maxInvalidRecipients } = settings.dictionary
  if (maxInvalidRecipients === 0 || invalidRecipients < maxInvalidRecipients) return 'pass'
  return refuse(
    { reply: 'tooManyErrors', close: true },
    `The session had ${invalidRecipients} unknown recipients; dictionary.maxInvalidRecipients is ${maxInvalidRecipients}.`,
  )
}
