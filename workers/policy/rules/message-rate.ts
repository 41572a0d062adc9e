import { keyOfText } from '../directory.ts'
import type { Policy } from '../policy.ts'
import { exceeded } from '../rates.ts'
import { type Questions, type RuleCheck, refuse } from '../rule.ts'

/** Limits the messages of a client and of a login, and applies the account's quota. */
export const messageRate: RuleCheck<'message-rate'> = ({ facts }, { settings, directory }) => {
  const found = exceeded(facts, settings, 'messages') ?? overQuota(facts, directory)
  if (typeof found !== 'string') return found ?? 'pass'
  return refuse({ reply: 'messageRate' }, found)
}

type Asked = Questions['mail']['facts']
type Directory = Policy['directory']

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
