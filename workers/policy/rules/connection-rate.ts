import { exceeded, over } from '../rates.ts'
import { type Decision, type RuleCheck, refuse } from '../rule.ts'

/** Limits the connections of a client address. */
export const connectionRate: RuleCheck<'connection-rate'> = (facts, { settings }) =>
  verdictOn(exceeded(facts, settings, 'connections'))

/** Limits the connections of a login. Known and checked once the client has logged in. */
export const loginRate: RuleCheck<'login-rate'> = ({ credentials, lookups }, { settings }) => {
  if (credentials?.result !== 'valid') return 'pass'
  const of = { rates: settings.security.ratesPerLogin, what: 'connections', who: credentials.login } as const
  return verdictOn(over(lookups?.rates?.login?.connections, of))
}

function verdictOn(found: ReturnType<typeof over>): 'pass' | Decision<'connectionRate'> | { missing: string } {
  if (typeof found !== 'string') return found ?? 'pass'
  return refuse({ reply: 'connectionRate', close: true }, found)
}
