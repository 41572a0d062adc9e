import { sql } from 'drizzle-orm'
import type { Queries } from '../database.ts'

/** What the API asks of workers. A row lives until its answer was read, at most a day. */
export type ErrandRow = {
  id: string
  /** Workers that have not answered yet, as JSON. */
  workers: string
  /** The errand as JSON. */
  request: string
  requestHash: string
  /** The answer as JSON; null while it is open. */
  answer: string | null
  createdAt: number
}

const columns = sql.raw('id, workers, request, request_hash as requestHash, answer, created_at as createdAt')

/** @returns false when there is one under this id already */
export async function putErrand(queries: Queries, errand: ErrandRow): Promise<boolean> {
  const { id, workers, request, requestHash, createdAt } = errand
  const made = await queries.all(sql`
    insert into errands (id, workers, request, request_hash, created_at)
    values (${id}, ${workers}, ${request}, ${requestHash}, ${createdAt}) on conflict (id) do nothing returning id`)
  return made.length > 0
}

export async function errandById(queries: Queries, id: string): Promise<ErrandRow | undefined> {
  const [row] = await queries.all<ErrandRow>(sql`select ${columns} from errands where id = ${id}`)
  return row
}

/** Oldest first; those this worker has not answered. */
export async function openErrands(queries: Queries, worker: string, limit: number): Promise<string[]> {
  const rows = await queries.all<{ id: string }>(sql`
    select id from errands where answer is null and exists (select 1 from json_each(workers) where value = ${worker})
    order by created_at, id limit ${limit}`)
  return rows.map(({ id }) => id)
}

/** A worker passes; the others are still asked. `last`: the answer if nobody is left. */
export async function passErrand(
  queries: Queries,
  { id, worker, last }: { id: string; worker: string; last: string },
): Promise<void> {
  await queries.run(sql`
    update errands set workers = (select json_group_array(value) from json_each(workers) where value <> ${worker})
    where id = ${id} and answer is null`)
  await queries.run(sql`
    update errands set answer = ${last} where id = ${id} and answer is null and json_array_length(workers) = 0`)
}

/** The first answer counts. What was asked is not needed any more: it may hold a message. */
export async function answerErrand(queries: Queries, id: string, answer: string): Promise<void> {
  await queries.run(sql`update errands set answer = ${answer}, request = '{}' where id = ${id} and answer is null`)
}

export async function dropErrand(queries: Queries, id: string): Promise<void> {
  await queries.run(sql`delete from errands where id = ${id}`)
}

export async function dropOldErrands(queries: Queries, before: number): Promise<void> {
  await queries.run(sql`delete from errands where created_at < ${before}`)
}
