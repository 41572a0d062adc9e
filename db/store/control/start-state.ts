import { count, desc, like } from 'drizzle-orm'
import type { Database } from '../database.ts'
import { sharedEnrolTokenPrefix } from './identity.ts'
import { enrolTokens, revisions, users } from './tables.ts'

/** What a function asks before its first answer: whether there are settings and users, and the shared enrolment tokens. */
export type StartState = { revision: number; users: number; enrolTokens: { id: string; hash: string }[] }

/** Reads it in one call. */
export async function startState(database: Database): Promise<StartState> {
  const { id, hash } = enrolTokens
  const [heads, totals, tokens] = await database.batch([
    database.select({ revision: revisions.revision }).from(revisions).orderBy(desc(revisions.revision)).limit(1),
    database.select({ users: count() }).from(users),
    database
      .select({ id, hash })
      .from(enrolTokens)
      .where(like(id, `${sharedEnrolTokenPrefix}%`)),
  ])
  return { revision: heads[0]?.revision ?? 0, users: totals[0]?.users ?? 0, enrolTokens: tokens }
}
