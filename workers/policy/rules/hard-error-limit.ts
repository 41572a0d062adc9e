import { type Questions, type RuleRow, refuse } from '../rule.ts'

export const hardErrorLimit: RuleRow<Questions['fault']> = {
  name: 'hard-error-limit',
  exemptsWhiteListed: true,
  ask({ errors }, { settings }) {
    const { hardErrorLimit } = settings.dictionary
    if (hardErrorLimit === 0 || errors < hardErrorLimit) return 'pass'
    return refuse(
      { reply: 'tooManyErrors', reason: 'too-many-errors', close: true },
      `The session has ${errors} errors; dictionary.hardErrorLimit is ${hardErrorLimit}.`,
    )
  },
}
