import { exceeded, over } from '../rates.ts'
import { type Decision, type Questions, type RuleRow, refuse } from '../rule.ts'

/** Connections of a client address. */
export const connectionRate: RuleRow<Questions['connect']> = {
  name: 'connection-rate',
  reads: 'rates',
  ask: (facts, { settings }) => verdictOn(exceeded(facts, settings, 'connections')),
}

/** Connections of a login: known, and asked, once it has logged in. */
export const loginRate: RuleRow<Questions['auth']> = {
  name: 'login-rate',
  reads: 'rates',
  ask({ credentials, lookups }, { settings }) {
    if (credentials?.result !== 'valid') return 'pass'
    const of = { rates: settings.security.ratesPerLogin, what: 'connections', who: credentials.login } as const
    return verdictOn(over(lookups?.rates?.login?.connections, of))
  },
}

function verdictOn(found: ReturnType<typeof over>): 'pass' | Decision | { missing: string } {
  if (typeof found !== 'string') return found ?? 'pass'
  return refuse({ reply: 'connectionRate', reason: 'rate-exceeded', close: true }, found)
}
