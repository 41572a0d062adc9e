import { type Questions, type RuleRow, refuse } from '../rule.ts'

/** Every mechanism here sends the secret readable, so it needs TLS (RFC 4954 §4, §14). */
export const authRequiresTls: RuleRow<Questions['auth']> = {
  name: 'auth-requires-tls',
  ask({ mechanism, tls }, { settings }) {
    if (tls || settings.advanced.allowPlainWithoutTls) return 'pass'
    return refuse(
      { reply: 'authNeedsTls', reason: 'tls-required' },
      `AUTH ${mechanism} without TLS; advanced.allowPlainWithoutTls is off.`,
    )
  },
}
