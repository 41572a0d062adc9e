import type { SessionFacts } from '@postern/contract/facts.ts'
import { parseAddress } from '@postern/contract/ip-address.ts'
import { keyOfText } from '@postern/policy/directory.ts'
import type { Policy } from '@postern/policy/policy.ts'
import { isRated, type Rated } from '@postern/policy/rates.ts'
import { LRUCache } from 'lru-cache'

/**
 * How much each client and each login did lately; every worker counts for itself. What was refused is not counted, so a client
 * that exceeds its rate still gets what the rate allows. Nothing is counted that no setting limits. Bounded: past `maxKeys` the
 * least recently seen are forgotten.
 */

const maxKeys = 100_000
const minute = 60_000
const hour = 3_600_000
const day = 86_400_000
/** The facts of two sessions may be so far apart. */
const aheadMs = minute

/** A sliding window: the count of the current span, and of the one before it, which fades out. */
type Span = { length: number; startedAt: number; current: number; before: number }

type Counter = readonly [Span, Span]

export class Rates {
  readonly #counters: LRUCache<string, Counter>

  constructor(max = maxKeys) {
    this.#counters = new LRUCache({ max })
  }

  /** The counts with one more. */
  next(key: string, now: number): [number, number] {
    const counter = this.#counters.get(key)
    return counter ? [countIn(counter[0], now) + 1, countIn(counter[1], now) + 1] : [1, 1]
  }

  add(key: string, now: number, [short, long] = [minute, hour]): void {
    let counter = this.#counters.get(key)
    if (!counter) {
      counter = [newSpan(short as number, now), newSpan(long as number, now)]
      this.#counters.set(key, counter)
    }
    for (const span of counter) {
      roll(span, now)
      span.current++
    }
  }
}

const newSpan = (length: number, now: number): Span => ({ length, startedAt: now, current: 0, before: 0 })

function roll(span: Span, now: number): void {
  const passed = Math.floor((now - span.startedAt) / span.length)
  // It began in the future: the clock was set back, and what was counted before says nothing.
  if (span.startedAt - now > aheadMs) Object.assign(span, { startedAt: now, current: 0, before: 0 })
  if (passed <= 0) return
  span.before = passed === 1 ? span.current : 0
  span.current = 0
  span.startedAt += passed * span.length
}

function countIn(span: Span, now: number): number {
  roll(span, now)
  const left = 1 - Math.max(0, now - span.startedAt) / span.length
  return span.current + Math.floor(span.before * Math.max(0, left))
}

type Counting = { policy: Policy; rates: Rates; login?: string | undefined }

/** The facts with the counts, where a setting limits them; else the facts unchanged. */
export function withRates<F extends SessionFacts>(facts: F, what: Rated, { policy, rates, login }: Counting): F {
  const keys = keysOf(facts, what, { policy, login: login ?? facts.login })
  if (!keys) return facts
  const { now } = facts
  const before = facts.lookups?.rates
  const client = keys.client && { ...before?.client, [what]: rates.next(keys.client, now) }
  const own = keys.login && { ...before?.login, [what]: rates.next(keys.login, now) }
  return {
    ...facts,
    lookups: {
      ...facts.lookups,
      rates: {
        ...before,
        ...(client && { client }),
        ...(own && { login: own }),
        ...(keys.quota && { quota: rates.next(keys.quota, now) }),
      },
    },
  }
}

/** Counts what was let through. */
export function countRates(facts: SessionFacts, what: Rated, { policy, rates, login }: Counting): void {
  const keys = keysOf(facts, what, { policy, login: login ?? facts.login })
  if (!keys) return
  if (keys.client) rates.add(keys.client, facts.now)
  if (keys.login) rates.add(keys.login, facts.now)
  if (keys.quota) rates.add(keys.quota, facts.now, [hour, day])
}

type Keys = { client?: string; login?: string; quota?: string }

/** The keys to count under; `undefined` when no setting limits it. */
function keysOf(
  { ip }: SessionFacts,
  what: Rated,
  { policy, login }: { policy: Policy; login: string | undefined },
): Keys | undefined {
  const { ratesPerClient, ratesPerLogin } = policy.settings.security
  // Connections of a client are counted before it has logged in, those of a login after.
  const ofClient = isRated(ratesPerClient, what) && !(what === 'connections' && login !== undefined)
  const ofLogin = login !== undefined && isRated(ratesPerLogin, what)
  const ofQuota = what === 'messages' && login !== undefined && hasQuota(policy, login)
  if (!ofClient && !ofLogin && !ofQuota) return undefined
  return {
    ...(ofClient ? { client: `${what} of ${networkOf(ip)}` } : {}),
    ...(ofLogin ? { login: `${what} by ${login}` } : {}),
    ...(ofQuota ? { quota: `quota of ${login}` } : {}),
  }
}

function hasQuota({ directory }: Policy, login: string): boolean {
  const quotas = directory.accounts.get(keyOfText(directory, login))?.quotas
  return quotas !== undefined && (quotas.sendsPerHour > 0 || quotas.sendsPerDay > 0)
}

/** One customer may have a whole /64 of IPv6: its addresses count as one. */
function networkOf(ip: string): string {
  if (!ip.includes(':')) return ip
  return parseAddress(ip)?.toByteArray().slice(0, 8).join('.') ?? ip
}
