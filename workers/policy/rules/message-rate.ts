import { keyOfText } from '../directory.ts'
import { exceeded } from '../rates.ts'
import { type Questions, type RuleRow, refuse } from '../rule.ts'

/** Messages of a client, of a login, and the quota of the account. */
export const messageRate: RuleRow<Questions['mail']> = {
  name: 'message-rate',
  reads: 'rates',
  ask({ facts }, { settings, directory }) {
    const found = exceeded(facts, settings, 'messages') ?? overQuota(facts, directory)
    if (typeof found !== 'string') return found ?? 'pass'
    return refuse({ reply: 'messageRate', reason: 'rate-exceeded' }, found)
  },
}

type Asked = Questions['mail']['facts']
type Directory = Parameters<RuleRow<Questions['mail']>['ask']>[1]['directory']

function overQuota({ login, lookups }: Asked, directory: Directory): string | { missing: string } | undefined {
  const quotas = login === undefined ? undefined : directory.accounts.get(keyOfText(directory, login))?.quotas
  if (!quotas || (quotas.sendsPerHour === 0 && quotas.sendsPerDay === 0)) return undefined
  const counted = lookups?.rates?.quota
  if (!counted) return { missing: `How much ${login} has sent is not known.` }
  const [hour, day] = counted
  if (quotas.sendsPerHour > 0 && hour > quotas.sendsPerHour)
    return `${login} has sent ${hour} messages within an hour; its quota sendsPerHour is ${quotas.sendsPerHour}.`
  if (quotas.sendsPerDay > 0 && day > quotas.sendsPerDay)
    return `${login} has sent ${day} messages within a day; its quota sendsPerDay is ${quotas.sendsPerDay}.`
  return undefined
}
