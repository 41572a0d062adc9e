import type { RowKind } from '@postern/contract/rows.ts'
import { type SQL, sql } from 'drizzle-orm'
import type { Queries } from '../database.ts'
import type { Change } from './change.ts'

/**
 * Many rows in one statement, as a JSON text that SQLite takes apart: an import has up to a million. The query builder has no
 * `json_each`; it would bind a parameter for each value (SQLite has at most 32 766) and compile another statement for each count.
 * The other statements written as text are reads that it cannot express: the NDJSON pages in rows.ts, windows and joins over
 * the history in directory.ts, restore.ts, retention.ts, revert.ts and revisions.ts.
 */

export type BulkRow = { id: string; key: string; value: string; expiresAt: number | null }

/** The values as a table that SQLite reads. */
export const each = (values: readonly unknown[]): SQL => sql`json_each(${JSON.stringify(values)})`

/** Appends to what a revision changed; the first has the number `seq`. */
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

/** `leave`: a row whose key stands already is left as it is. @returns the ids of those that were inserted */
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
