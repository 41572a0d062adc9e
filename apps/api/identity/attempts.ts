import { parseAddress } from '@postern/contract/ip-address.ts'
import { addAttempt, attemptAtLimit } from '@postern/store/control/login-attempts.ts'
import type { Queries } from '@postern/store/database.ts'
import type { Dependencies } from '../dependencies.ts'
import { ProblemError } from '../problem.ts'

/**
 * Limits login attempts. An attempt is counted before it is tried, so that parallel attempts cannot exceed the limit.
 */

const windowMs = 15 * 60_000

export type Counted = { key: string; limit: number }

/** Limits for a password: per account and address, per address, and per account from any address. */
export function passwordAttempt(email: string, address: string | undefined): Counted[] {
  const client = clientOf(address)
  return [
    { key: `pair:${email} ${client}`, limit: 10 },
    { key: `address:${client}`, limit: 50 },
    { key: `email:${email}`, limit: 200 },
  ]
}

export function refreshAttempt(address: string | undefined): Counted[] {
  return [{ key: `refresh:${clientOf(address)}`, limit: 100 }]
}

/** Counts the addresses of an IPv6 /64 as one, because a customer usually has a whole /64. */
function clientOf(address: string | undefined): string {
  const parsed = parseAddress(address ?? '')
  if (!parsed || parsed.kind() === 'ipv4') return address ?? 'unknown'
  return `${parsed.toNormalizedString().split(':').slice(0, 4).join(':')}::/64`
}

/**
 * Counts an attempt. On success, pass the returned ids to `forgetAttempts`. Past a limit, throws 429 and counts
 * nothing.
 */
export function countAttempt(parts: Dependencies, counted: readonly Counted[]): Promise<string[]> {
  return parts.control.transaction((queries) => countAttemptIn(queries, parts, counted))
}

export async function countAttemptIn(
  queries: Queries,
  parts: Pick<Dependencies, 'now' | 'newId'>,
  counted: readonly Counted[],
): Promise<string[]> {
  const now = parts.now()
  const since = now - windowMs
  const full = await Promise.all(counted.map(({ key, limit }) => attemptAtLimit(queries, key, { limit, since, now })))
  const waits = full.filter((at) => at !== undefined).map((at) => at + windowMs - now)
  if (waits.length > 0) throw tooMany(Math.max(...waits))
  const attempts = counted.map(({ key }) => ({ id: parts.newId(), key, at: now }))
  for (const attempt of attempts) await addAttempt(queries, attempt)
  return attempts.map(({ id }) => id)
}

function tooMany(waitMs: number): ProblemError {
  const seconds = Math.max(1, Math.ceil(waitMs / 1000))
  const minutes = Math.ceil(seconds / 60)
  return new ProblemError(
    429,
    `Too many failed attempts. Try again in ${minutes === 1 ? 'a minute' : `${minutes} minutes`}.`,
    { headers: { 'retry-after': String(seconds) } },
  )
}
