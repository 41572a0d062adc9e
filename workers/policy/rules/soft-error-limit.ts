import { answer, type Questions, type RuleRow } from '../rule.ts'

/** Says nothing to the client: from here on it is answered late. */
export const softErrorLimit: RuleRow<Questions['fault']> = {
  name: 'soft-error-limit',
  exemptsWhiteListed: true,
  ask({ errors }, { settings }) {
    const { softErrorLimit, softErrorDelaySeconds } = settings.dictionary
    if (softErrorLimit === 0 || softErrorDelaySeconds === 0 || errors <= softErrorLimit) return 'pass'
    return answer(
      [],
      'too-many-errors',
      `The session has ${errors} errors; above dictionary.softErrorLimit (${softErrorLimit}), each reply is delayed by ${softErrorDelaySeconds} s.`,
    )
  },
}
