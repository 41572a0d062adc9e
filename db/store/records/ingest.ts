import { and, eq, sql } from 'drizzle-orm'
import type { Queries } from '../database.ts'
import { eventLogs } from './tables.ts'

/** The numbers up to `last` of a worker's log, which storage keeps in the log store. */
export type StoredBatch = { worker: string; log: string; last: number }

/** Returns the number up to which storage has a log of a worker; 0 for an unknown one. */
export async function storedUpTo(queries: Queries, worker: string, log: string): Promise<number> {
  const [row] = await queries
    .select({ acknowledged: eventLogs.acknowledged })
    .from(eventLogs)
    .where(and(eq(eventLogs.worker, worker), eq(eventLogs.log, log)))
  return row?.acknowledged ?? 0
}

/**
 * Records that a batch is in the log store. A batch that comes late moves nothing back.
 * @returns the number up to which storage has the log
 */
export async function ingest(queries: Queries, { worker, log, last }: StoredBatch): Promise<number> {
  const [row] = await queries
    .insert(eventLogs)
    .values({ worker, log, acknowledged: last })
    .onConflictDoUpdate({
      target: [eventLogs.worker, eventLogs.log],
      set: { acknowledged: sql`max(${eventLogs.acknowledged}, excluded.acknowledged)` },
    })
    .returning({ acknowledged: eventLogs.acknowledged })
  return row?.acknowledged ?? last
}
