import { findAccount } from '../login.ts'
import { type Questions, type RuleRow, refuse } from '../rule.ts'

/**
 * Unknown user, disabled user and wrong password are the same answer. Credentials that could not be checked are neither
 * right nor wrong: the client is asked to come again.
 */
export const authCredentials: RuleRow<Questions['auth']> = {
  name: 'auth-credentials',
  ask({ credentials }, policy) {
    if (!credentials) return 'pass'
    const { login, result } = credentials
    if (result === 'not-known')
      return refuse(
        { reply: 'authTemporary', reason: 'internal-error' },
        `The credentials of "${login}" could not be checked now.`,
      )
    const account = findAccount(policy, login)
    if (result === 'valid' && account) return 'pass'
    const cause = account ? 'has another password' : 'is no login of an account that is enabled'
    return refuse({ reply: 'authFailed', reason: 'auth-failed' }, `"${login}" ${cause}.`)
  },
}
