import { carriesToken, findClaimed } from '../login.ts'
import { type RuleCheck, refuse } from '../rule.ts'

/**
 * Gives one answer for an unknown user, a disabled user and a wrong password. Credentials that could not be checked are
 * neither right nor wrong: the client is asked to try again.
 */
export const authCredentials: RuleCheck<'auth-credentials'> = ({ credentials, mechanism }, policy) => {
  if (!credentials) return 'pass'
  const { login, result, because } = credentials
  if (result === 'not-known')
    return refuse(
      { reply: 'authTemporary' },
      `The credentials of "${login}" could not be checked now.`,
      ...(because ? [because] : []),
    )
  const account = findClaimed(policy, mechanism, login)
  if (result === 'valid' && account) return 'pass'
  const isToken = carriesToken(mechanism)
  const cause = account
    ? isToken
      ? 'sent a token that is not valid'
      : 'sent a wrong password'
    : 'is not the login of an enabled account'
  return refuse({ reply: 'authFailed' }, `"${login}" ${cause}.`, ...(because ? [because] : []))
}
