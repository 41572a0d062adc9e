import { sql } from 'drizzle-orm'
import type { Database } from '../database.ts'

/** Removes at most `limit` finished messages without events since `before`. Waiting messages stay, however old. */
export function dropOldMessages(database: Database, before: number, limit: number): Promise<number> {
  return database.transaction(async (queries) => {
    const old = await queries.all<{ id: string }>(
      sql`select id from messages where state = 'finished' and touched_at < ${before} limit ${limit}`,
    )
    if (old.length === 0) return 0
    const ids = JSON.stringify(old.map(({ id }) => id))
    await queries.run(sql`delete from recipients where message_id in (select value from json_each(${ids}))`)
    await queries.run(sql`delete from messages where id in (select value from json_each(${ids}))`)
    return old.length
  })
}
