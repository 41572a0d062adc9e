import { authMechanisms, isSpoken } from '../login.ts'
import { type RuleCheck, refuse } from '../rule.ts'

/**
 * Refuses mechanisms that the settings do not allow or that the server does not support. Mechanism names are
 * case-insensitive (RFC 4422 §3.1).
 */
export const authMechanism: RuleCheck<'auth-mechanism'> = ({ mechanism }, policy) => {
  const offered = authMechanisms(policy)
  if (offered.some((name) => name === mechanism.toUpperCase())) return 'pass'
  const refusal = refuse(
    { reply: 'authMechanism' },
    `AUTH ${mechanism} is not offered; advanced.authMechanisms allows ${offered.join(', ') || 'none'}.`,
  )
  return isSpoken(mechanism, policy) ? refusal : { ...refusal, unavoidable: true }
}
