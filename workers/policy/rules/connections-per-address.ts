import { type Questions, type RuleRow, refuse } from '../rule.ts'

/** How many sessions one client address may hold on one worker. */
export const connectionsPerAddress: RuleRow<Questions['connect']> = {
  name: 'connections-per-address',
  exemptsWhiteListed: true,
  ask({ ip, sessionsFromAddress }, { settings }) {
    const { maxConnectionsPerAddress } = settings.advanced
    if (maxConnectionsPerAddress === 0 || sessionsFromAddress <= maxConnectionsPerAddress) return 'pass'
    return refuse(
      { reply: 'tooManyFromAddress', reason: 'too-many-sessions', close: true },
      `${ip} has ${sessionsFromAddress} sessions open; advanced.maxConnectionsPerAddress is ${maxConnectionsPerAddress}.`,
    )
  },
}
