import type { FactBatch } from '@postern/contract/worker-protocol.ts'
import { sql } from 'drizzle-orm'
import type { Database, Queries } from '../database.ts'

/** Recorded facts of decisions, in batches. Only the replay reads their content. */

/** Maximum size of all batches in bytes: about twenty million sessions. Beyond it the oldest are removed. */
const maxBytes = 1_073_741_824

/** Stores a batch once. */
export function storeFacts(
  database: Database,
  worker: string,
  { id, since, until, sessions, dropped, records }: FactBatch,
  limit = maxBytes,
): Promise<void> {
  return database.transaction(async (queries) => {
    await queries.run(sql`
      insert into facts (worker, batch, since, until, sessions, dropped, octets, records)
      values (${worker}, ${id}, ${since}, ${until}, ${sessions}, ${dropped}, ${records.length}, ${records})
      on conflict (worker, batch) do nothing`)
    await makeRoom(queries, limit)
  })
}

/** Removes the oldest batches until the rest fits, and records the loss so that a replay can report it. */
async function makeRoom(queries: Queries, limit: number): Promise<void> {
  const [all] = await queries.all<{ bytes: number | null }>(sql`select sum(octets) as bytes from facts`)
  let over = (all?.bytes ?? 0) - limit
  while (over > 0) {
    const [oldest] = await queries.all<FactsRow>(sql`select ${columns} from facts order by since limit 1`)
    if (!oldest) return
    const { id, since, until, sessions } = oldest
    await queries.run(sql`insert into facts_lost (since, until, sessions) values (${since}, ${until}, ${sessions})`)
    await queries.run(sql`delete from facts where id = ${id}`)
    over -= oldest.bytes
  }
}

export type FactsRow = {
  id: number
  since: number
  until: number
  sessions: number
  dropped: number
  bytes: number
}
const columns = sql.raw('id, since, until, sessions, dropped, octets as bytes')

export type Span = { since: number; until: number }

/** Returns batches with sessions in the span, oldest first, without their records. */
export function factsIn(queries: Queries, { since, until }: Span): Promise<FactsRow[]> {
  return queries.all<FactsRow>(
    sql`select ${columns} from facts where since < ${until} and until >= ${since} order by since, id`,
  )
}

/** Returns the records as the worker sent them; `undefined` if they were removed in the meantime. */
export async function recordsOf(queries: Queries, id: number): Promise<Uint8Array | undefined> {
  const [row] = await queries.all<{ records: ArrayBuffer }>(sql`select records from facts where id = ${id}`)
  return row && new Uint8Array(row.records)
}

/** Returns the approximate number of sessions in the span that were removed to make room. */
export async function lostIn(queries: Queries, { since, until }: Span): Promise<number> {
  const [row] = await queries.all<{ sessions: number }>(
    sql`select coalesce(sum(sessions), 0) as sessions from facts_lost where since < ${until} and until >= ${since}`,
  )
  return row?.sessions ?? 0
}

/**
 * Removes at most `limit` batches older than `before`.
 * @returns the number of removed batches
 */
export function dropOldFacts(database: Database, before: number, limit: number): Promise<number> {
  return database.transaction(async (queries) => {
    await queries.run(sql`delete from facts_lost where until < ${before}`)
    const gone = await queries.all<{ id: number }>(sql`
      delete from facts where id in (select id from facts where until < ${before} order by until limit ${limit}) returning id`)
    return gone.length
  })
}
