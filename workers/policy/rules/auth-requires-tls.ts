import { carriesToken, mayShowSecret } from '../login.ts'
import { type RuleCheck, refuse } from '../rule.ts'

/**
 * Requires TLS, because every mechanism here sends the secret in readable form (RFC 4954 §4, §14). A token always
 * requires it (RFC 7628 §5).
 */
export const authRequiresTls: RuleCheck<'auth-requires-tls'> = (facts, policy) => {
  const { mechanism } = facts
  if (mayShowSecret(mechanism, facts, policy)) return 'pass'
  const why = carriesToken(mechanism) ? 'tokens always need TLS' : 'advanced.allowPlainWithoutTls is off'
  return refuse({ reply: 'authRequiresTls' }, `AUTH ${mechanism} without TLS; ${why}.`)
}
