import { type RuleCheck, refuse } from '../rule.ts'

export const hardErrorLimit: RuleCheck<'hard-error-limit'> = ({ errors }, { settings }) => {
  const { hardErrorLimit } = settings.dictionary
  if (hardErrorLimit === 0 || errors < hardErrorLimit) return 'pass'
  return refuse(
    { reply: 'tooManyErrors', close: true },
    `The session has ${errors} errors; dictionary.hardErrorLimit is ${hardErrorLimit}.`,
  )
}
