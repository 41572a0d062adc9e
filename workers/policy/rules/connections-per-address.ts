import { type RuleCheck, refuse } from '../rule.ts'

/** Limits the number of sessions from one client address on one worker. */
export const connectionsPerAddress: RuleCheck<'connections-per-address'> = (
  { ip, sessionsFromAddress },
  { settings },
) => {
  const { maxConnectionsPerAddress } = settings.advanced
  if (maxConnectionsPerAddress === 0 || sessionsFromAddress <= maxConnectionsPerAddress) return 'pass'
  return refuse(
    { reply: 'connectionsPerAddress', close: true },
    `${ip} has ${sessionsFromAddress} sessions open; advanced.maxConnectionsPerAddress is ${maxConnectionsPerAddress}.`,
  )
}
