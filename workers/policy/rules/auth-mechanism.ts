import { authMechanisms, isSpoken } from '../login.ts'
import { type RuleCheck, refuse } from '../rule.ts'

/** Only what the settings allow and this server speaks. Mechanism names have no case (RFC 4422 §3.1). */
export const authMechanism: RuleCheck<'auth-mechanism'> = ({ mechanism }, policy) => {
  const offered = authMechanisms(policy)
  if (offered.some((name) => name === mechanism.toUpperCase())) return 'pass'
  const refusal = refuse(
    { reply: 'authMechanism' },
    `AUTH ${mechanism} is not offered; advanced.authMechanisms allows ${offered.join(', ') || 'none'}.`,
  )
  return isSpoken(mechanism, policy) ? refusal : { ...refusal, unavoidable: true }
}
