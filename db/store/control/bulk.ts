import type { RowKind } from '@postern/contract/rows.ts'
import { type SQL, sql } from 'drizzle-orm'
import type { Queries } from '../database.ts'
import type { Change } from './change.ts'

/**
 * Handles many rows in one statement, as a JSON text that SQLite splits: an import has up to a million rows. The query
 * builder has no `json_each`. It would bind one parameter for each value (SQLite allows at most 32 766) and compile
 * another statement for each count. The other statements written as text are reads that the query builder cannot
 * express: the NDJSON pages in rows.ts, and windows and joins over the history in directory.ts, restore.ts,
 * retention.ts, revert.ts and revisions.ts.
 */

export type BulkRow = { id: string; key: string; value: string; expiresAt: number | null }

/** Returns the values as a table for SQLite. */
export const each = (values: readonly unknown[]): SQL => sql`json_each(${JSON.stringify(values)})`

/** Appends to the changes of a revision; the first gets the number `seq`. */
export async function insertChanges(
  queries: Queries,
  { revision, seq }: { revision: number; seq: number },
  changes: readonly Change[],
): Promise<void> {
  const values = changes.map(({ kind, id, key, before, after }) => [kind, id, key, before, after])
  await queries.run(sql`
    insert into changes (revision, seq, kind, id, key, before, after)
    select ${revision}, ${seq} + key, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 from ${each(values)}`)
}

/**
 * Inserts rows. `leave`: a row whose key already exists is left unchanged.
 * @returns the ids of the inserted rows
 */
export async function insertRows(
  queries: Queries,
  { kind, revision, existing }: { kind: RowKind; revision: number; existing: 'leave' | 'fail' },
  rows: readonly BulkRow[],
): Promise<Set<string>> {
  const values = rows.map(({ id, key, value, expiresAt }) => [id, key, value, expiresAt])
  const inserted = await queries.all<{ id: string }>(sql`
    insert into rows (kind, id, key, value, revision, expires_at)
    select ${kind}, value ->> 0, value ->> 1, value ->> 2, ${revision}, value ->> 3 from ${each(values)}
    where true ${existing === 'leave' ? sql`on conflict do nothing` : sql``} returning id`)
  return new Set(inserted.map(({ id }) => id))
}
