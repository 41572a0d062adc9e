import type { OffenceKind } from '@postern/contract/offences.ts'
import { and, asc, eq, gt, inArray, lte, sql } from 'drizzle-orm'
import { isAmong, type Queries } from '../database.ts'
import { each } from './bulk.ts'
import { offences } from './tables.ts'

/** Offences of clients that workers reported, counted over all workers. Rows are removed when their window has ended. */

export type OffenceRow = {
  id: string
  address: string
  kind: OffenceKind
  /** Milliseconds since the epoch. */
  at: number
  count: number
  evidence: string[]
  expiresAt: number
}

/** Maximum number of stored rows. Beyond it, the oldest are removed. */
const maxRows = 200_000

/** Adds a worker's rows, at most 500. Existing rows are left unchanged. */
export async function addOffences(queries: Queries, worker: string, rows: readonly OffenceRow[]): Promise<void> {
  const input = rows.map(({ id, address, kind, at, count, evidence, expiresAt }) => [
    id,
    address,
    kind,
    at,
    count,
    JSON.stringify(evidence),
    expiresAt,
  ])
  await queries.run(sql`
    insert into offences (worker, id, address, kind, at, count, evidence, expires_at)
    select ${worker}, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
    from ${each(input)} where true on conflict do nothing`)
}

/** Returns the offences of these addresses that no entry has used yet, oldest first. */
export async function unusedOffences(
  queries: Queries,
  addresses: readonly string[],
  now: number,
): Promise<Omit<OffenceRow, 'id' | 'expiresAt'>[]> {
  const { address, kind, at, count, evidence } = offences
  const found = await queries
    .select({ address, kind, at, count, evidence })
    .from(offences)
    .where(and(isAmong(address, addresses), eq(offences.used, 0), gt(offences.expiresAt, now)))
    .orderBy(asc(at))
    .all()
  return found.map((row) => ({ ...row, evidence: JSON.parse(row.evidence) as string[] }))
}

/** Marks the offences of these addresses as used for an entry. Only later offences count again. */
export async function useOffences(queries: Queries, addresses: readonly string[]): Promise<void> {
  await queries
    .update(offences)
    .set({ used: 1 })
    .where(and(eq(offences.used, 0), isAmong(offences.address, addresses)))
}

/**
 * Removes at most `limit` rows that no window covers any more, and the oldest rows above the maximum.
 * @returns the number of removed rows
 */
export async function dropOldOffences(queries: Queries, now: number, limit: number): Promise<number> {
  const rowid = sql<number>`rowid`
  const expired = queries.select({ rowid }).from(offences).where(lte(offences.expiresAt, now)).limit(limit)
  const gone = await queries.delete(offences).where(inArray(rowid, expired)).returning({ id: offences.id })
  if (gone.length > 0) return gone.length
  const tooMany = Math.min(limit, (await queries.$count(offences)) - maxRows)
  if (tooMany <= 0) return 0
  const oldest = queries.select({ rowid }).from(offences).orderBy(asc(offences.expiresAt)).limit(tooMany)
  await queries.delete(offences).where(inArray(rowid, oldest))
  return tooMany
}
