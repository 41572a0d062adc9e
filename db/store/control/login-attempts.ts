import { and, desc, eq, gt, inArray, lte, or, sql } from 'drizzle-orm'
import type { Queries } from '../database.ts'
import { loginFailures } from './tables.ts'

/** Counts password and refresh-token attempts by subject: an address, an account, or both. */

/** Returns the time of the limit-th newest attempt within the window; `undefined` if there were fewer. */
export async function attemptAtLimit(
  queries: Queries,
  key: string,
  { limit, since, now }: { limit: number; since: number; now: number },
): Promise<number | undefined> {
  // A time in the future was recorded before the clock was set back. It must not lock anybody out until then.
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

/** Removes attempts that turned out not to be failures. */
export async function forgetAttempts(queries: Queries, ids: readonly string[]): Promise<void> {
  await queries.delete(loginFailures).where(inArray(loginFailures.id, [...ids]))
}

/** Removes all attempts on one account, from any address. */
export async function forgetAttemptsOf(queries: Queries, email: string): Promise<void> {
  const { key } = loginFailures
  await queries.delete(loginFailures).where(or(eq(key, `email:${email}`), sql`instr(${key}, ${`pair:${email} `}) = 1`))
}
