import { type RuleCheck, refuse } from '../rule.ts'

export const authDisabled: RuleCheck<'auth-disabled'> = (_, { settings }) => {
  if (!settings.advanced.disableAuth) return 'pass'
  return refuse({ reply: 'authDisabled' }, 'advanced.disableAuth is on.')
}
