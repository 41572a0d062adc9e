import type { SessionFacts } from '@postern/contract/facts.ts'
import type { Settings } from '@postern/contract/settings.ts'

/** Describes exceeded rates in a sentence. Returns `undefined` if none is exceeded, or if none is limited. */

export type Rated = 'connections' | 'messages' | 'recipients'
type Rates = Settings['security']['ratesPerClient']

const perMinute = {
  connections: 'connectionsPerMinute',
  messages: 'messagesPerMinute',
  recipients: 'recipientsPerMinute',
} as const
const perHour = {
  connections: 'connectionsPerHour',
  messages: 'messagesPerHour',
  recipients: 'recipientsPerHour',
} as const

/** Returns whether a rate is limited and so must be counted. */
export function isRated(rates: Rates, what: Rated): boolean {
  return rates[perMinute[what]] > 0 || rates[perHour[what]] > 0
}

/** Returns a sentence if a rate is exceeded. `missing`: the rate is limited but was not counted. */
export function exceeded(
  { lookups, ip, login }: SessionFacts,
  { security }: Settings,
  what: Rated,
): string | { missing: string } | undefined {
  const ofClient = over(lookups?.rates?.client?.[what], { rates: security.ratesPerClient, what, who: ip })
  if (typeof ofClient === 'string' || login === undefined) return ofClient
  return over(lookups?.rates?.login?.[what], { rates: security.ratesPerLogin, what, who: login }) ?? ofClient
}

/** Like `exceeded`, for one counter. */
export function over(
  counted: [number, number] | undefined,
  { rates, what, who }: { rates: Rates; what: Rated; who: string },
): string | { missing: string } | undefined {
  if (!isRated(rates, what)) return undefined
  if (!counted) return { missing: `The number of ${what} from ${who} is not known.` }
  const minute = rates[perMinute[what]]
  if (minute > 0 && counted[0] > minute)
    return `${who} has reached ${counted[0]} ${what} within a minute; ${perMinute[what]} is ${minute}.`
  const hour = rates[perHour[what]]
  if (hour > 0 && counted[1] > hour)
    return `${who} has reached ${counted[1]} ${what} within an hour; ${perHour[what]} is ${hour}.`
  return undefined
}
