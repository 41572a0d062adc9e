import { sql } from 'drizzle-orm'
import type { Queries } from '../database.ts'

/** Tries of passwords and refresh tokens, by what they are counted for: an address, an account, both. */

/** When the limit-th newest attempt within the window was made; `undefined`: there were fewer. */
export async function attemptAtLimit(
  queries: Queries,
  key: string,
  { limit, since, now }: { limit: number; since: number; now: number },
): Promise<number | undefined> {
  // What seems to be of tomorrow was counted before the clock was set back, and must not lock anybody out till then.
  const [row] = await queries.all<{ at: number }>(sql`
    select at from login_failures where key = ${key} and at > ${since} and at <= ${now + 60_000}
    order by at desc limit 1 offset ${limit - 1}`)
  return row?.at
}

export async function addAttempt(queries: Queries, attempt: { id: string; key: string; at: number }): Promise<void> {
  await queries.run(sql`insert into login_failures (id, key, at) values (${attempt.id}, ${attempt.key}, ${attempt.at})`)
}

/** It was no failure after all. */
export async function forgetAttempts(queries: Queries, ids: readonly string[]): Promise<void> {
  for (const id of ids) await queries.run(sql`delete from login_failures where id = ${id}`)
}

/** All of one account, from wherever they were made. */
export async function forgetAttemptsOf(queries: Queries, email: string): Promise<void> {
  await queries.run(sql`
    delete from login_failures where key = ${`email:${email}`} or instr(key, ${`pair:${email} `}) = 1`)
}
