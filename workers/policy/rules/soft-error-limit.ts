import { answer, type RuleCheck } from '../rule.ts'

/** Delays further replies without telling the client. */
export const softErrorLimit: RuleCheck<'soft-error-limit'> = ({ errors }, { settings }) => {
  const { softErrorLimit, softErrorDelaySeconds } = settings.dictionary
  if (softErrorLimit === 0 || softErrorDelaySeconds === 0 || errors <= softErrorLimit) return 'pass'
  return answer(
    [],
    `The session has ${errors} errors; above dictionary.softErrorLimit (${softErrorLimit}), each reply is delayed by ${softErrorDelaySeconds} s.`,
  )
}
