import { sql } from 'drizzle-orm'
import type { Database } from '../database.ts'

/**
 * Removes at most `limit` events older than `before`.
 * @returns the number of removed events
 */
export function dropOldEvents(database: Database, before: number, limit: number): Promise<number> {
  return database.transaction(async (queries) => {
    const old = await queries.all<{ seq: number }>(
      sql`select seq from events where at < ${before} order by at limit ${limit}`,
    )
    if (old.length === 0) return 0
    const seqs = JSON.stringify(old.map(({ seq }) => seq))
    const fts = await queries.all<{ n: number }>(
      sql`select count(*) as n from sqlite_schema where name = 'events_text' and type = 'table'`,
    )
    if (fts[0]?.n)
      await queries.run(sql`
        insert into events_text (events_text, rowid, text)
        select 'delete', seq, text from events where text <> '' and seq in (select value from json_each(${seqs}))`)
    await queries.run(sql`delete from events where seq in (select value from json_each(${seqs}))`)
    return old.length
  })
}

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
