import { type Questions, type RuleRow, refuse } from '../rule.ts'

export const authDisabled: RuleRow<Questions['auth']> = {
  name: 'auth-disabled',
  ask(_, { settings }) {
    if (!settings.advanced.disableAuth) return 'pass'
    return refuse({ reply: 'authDisabled', reason: 'command-disabled' }, 'advanced.disableAuth is on.')
  },
}
