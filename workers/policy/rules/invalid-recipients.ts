import { type RuleCheck, refuse } from '../rule.ts'

/** Who has guessed as many recipients within one session as the window allows over all of them goes on guessing nowhere. */
export const invalidRecipients: RuleCheck<'invalid-recipients'> = ({ invalidRecipients }, { settings }) => {
  const { maxInvalidRecipients } = settings.dictionary
  if (maxInvalidRecipients === 0 || invalidRecipients < maxInvalidRecipients) return 'pass'
  return refuse(
    { reply: 'tooManyErrors', close: true },
    `The session named ${invalidRecipients} unknown recipients; dictionary.maxInvalidRecipients is ${maxInvalidRecipients}.`,
  )
}
