import { carriesToken, mayShowSecret } from '../login.ts'
import { type RuleCheck, refuse } from '../rule.ts'

/** Every mechanism here sends the secret readable, so it needs TLS (RFC 4954 §4, §14); a token always (RFC 7628 §5). */
export const authRequiresTls: RuleCheck<'auth-requires-tls'> = (facts, policy) => {
  const { mechanism } = facts
  if (mayShowSecret(mechanism, facts, policy)) return 'pass'
  const why = carriesToken(mechanism) ? 'tokens always need TLS' : 'advanced.allowPlainWithoutTls is off'
  return refuse({ reply: 'authRequiresTls' }, `AUTH ${mechanism} without TLS; ${why}.`)
}
