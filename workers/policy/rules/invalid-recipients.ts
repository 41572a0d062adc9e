import { type Questions, type RuleRow, refuse } from '../rule.ts'

/** Who has guessed as many recipients within one session as the window allows over all of them goes on guessing nowhere. */
export const invalidRecipients: RuleRow<Questions['fault']> = {
  name: 'invalid-recipients',
  exemptsWhiteListed: true,
  ask({ invalidRecipients }, { settings }) {
    const { maxInvalidRecipients } = settings.dictionary
    if (maxInvalidRecipients === 0 || invalidRecipients < maxInvalidRecipients) return 'pass'
    return refuse(
      { reply: 'tooManyErrors', reason: 'too-many-errors', close: true },
      `The session named ${invalidRecipients} unknown recipients; dictionary.maxInvalidRecipients is ${maxInvalidRecipients}.`,
    )
  },
}
