import { and, desc, eq, gt, inArray, lte, or, sql } from 'drizzle-orm'
import type { Queries } from '../database.ts'
import { loginFailures } from './tables.ts'

/** Tries of passwords and refresh tokens, by what they are counted for: an address, an account, both. */

/** When the limit-th newest attempt within the window was made; `undefined`: there were fewer. */
export async function attemptAtLimit(
  queries: Queries,
  key: string,
  { limit, since, now }: { limit: number; since: number; now: number },
): Promise<number | undefined> {
  // What seems to be of tomorrow was counted before the clock was set back, and must not lock anybody out till then.
  const { at } = loginFailures
  const row = await queries
    .select({ at })
    .from(loginFailures)
    .where(and(eq(loginFailures.key, key), gt(at, since), lte(at, now + 60_000)))
    .orderBy(desc(at))
    .limit(1)
    .offset(limit - 1)
    .get()
  return row?.at
}

export async function addAttempt(queries: Queries, attempt: { id: string; key: string; at: number }): Promise<void> {
  await queries.insert(loginFailures).values(attempt)
}

/** It was no failure after all. */
export async function forgetAttempts(queries: Queries, ids: readonly string[]): Promise<void> {
  await queries.delete(loginFailures).where(inArray(loginFailures.id, [...ids]))
}

/** All of one account, from wherever they were made. */
export async function forgetAttemptsOf(queries: Queries, email: string): Promise<void> {
  const { key } = loginFailures
  await queries.delete(loginFailures).where(or(eq(key, `email:${email}`), sql`instr(${key}, ${`pair:${email} `}) = 1`))
}
