import { and, asc, eq, isNull, lt, sql } from 'drizzle-orm'
import type { Queries } from '../database.ts'
import { workerRequests } from './tables.ts'

/** Requests from the API to workers. A row is kept until its answer is read, at most a day. */
export type WorkerRequestRow = typeof workerRequests.$inferSelect

/** @returns `false` if there already is a request with this id */
export async function putWorkerRequest(queries: Queries, row: WorkerRequestRow): Promise<boolean> {
  const made = await queries
    .insert(workerRequests)
    .values(row)
    .onConflictDoNothing({ target: workerRequests.id })
    .returning({ id: workerRequests.id })
  return made.length > 0
}

export async function workerRequestById(queries: Queries, id: string): Promise<WorkerRequestRow | undefined> {
  const [row] = await queries.select().from(workerRequests).where(eq(workerRequests.id, id))
  return row
}

/** Returns requests that this worker has not answered, oldest first. */
export async function openWorkerRequests(queries: Queries, worker: string, limit: number): Promise<string[]> {
  const isAsked = sql`exists (select 1 from json_each(${workerRequests.workers}) where value = ${worker})`
  const rows = await queries
    .select({ id: workerRequests.id })
    .from(workerRequests)
    .where(and(isNull(workerRequests.answer), isAsked))
    .orderBy(asc(workerRequests.createdAt), asc(workerRequests.id))
    .limit(limit)
  return rows.map(({ id }) => id)
}

/** Records that a worker cannot answer; the others are still asked. `last`: the answer if no worker is left. */
export async function passWorkerRequest(
  queries: Queries,
  { id, worker, last }: { id: string; worker: string; last: string },
): Promise<void> {
  const isOpen = and(eq(workerRequests.id, id), isNull(workerRequests.answer))
  const others = sql`(select json_group_array(value) from json_each(${workerRequests.workers}) where value <> ${worker})`
  await queries.update(workerRequests).set({ workers: others }).where(isOpen)
  await queries
    .update(workerRequests)
    .set({ answer: last })
    .where(and(isOpen, sql`json_array_length(${workerRequests.workers}) = 0`))
}

/** Stores the first answer. The request is emptied, because it may hold a message. */
export async function answerWorkerRequest(queries: Queries, id: string, answer: string): Promise<void> {
  await queries
    .update(workerRequests)
    .set({ answer, request: '{}' })
    .where(and(eq(workerRequests.id, id), isNull(workerRequests.answer)))
}

export async function dropWorkerRequest(queries: Queries, id: string): Promise<void> {
  await queries.delete(workerRequests).where(eq(workerRequests.id, id))
}

export async function dropOldWorkerRequests(queries: Queries, before: number): Promise<void> {
  await queries.delete(workerRequests).where(lt(workerRequests.createdAt, before))
}
