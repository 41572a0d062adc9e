import { type SQL, sql } from 'drizzle-orm'
import { all, contains, type Queries } from '../database.ts'

export type EventRow = {
  seq: number
  worker: string
  n: number
  at: number
  type: string
  messageId: string | null
  text: string
  json: string
}

export type EventFilter = {
  type?: string[] | undefined
  worker?: string | undefined
  messageId?: string | undefined
  since?: number | undefined
  until?: number | undefined
  /** Words that must all occur, also as prefixes of words. */
  q?: string | undefined
}

const columns = sql.raw('e.seq, e.worker, e.n, e.at, e.type, e.message_id as messageId, e.text, e.json')

function matching({ type, worker, messageId, since, until }: EventFilter): (SQL | undefined)[] {
  return [
    // Events outside the log have no text.
    sql`e.text <> ''`,
    type === undefined ? undefined : sql`e.type in (select value from json_each(${JSON.stringify(type)}))`,
    worker === undefined ? undefined : sql`e.worker = ${worker}`,
    messageId === undefined ? undefined : sql`e.message_id = ${messageId}`,
    since === undefined ? undefined : sql`e.at >= ${since}`,
    until === undefined ? undefined : sql`e.at < ${until}`,
  ]
}

export type EventPage = { filter: EventFilter; limit: number; before?: number | undefined }

/** Returns events newest first, in the order in which storage received them. */
export async function findEvents(queries: Queries, { filter, limit, before }: EventPage): Promise<EventRow[]> {
  const conditions = [...matching(filter), before === undefined ? undefined : sql`e.seq < ${before}`]
  const find = (text: SQL | undefined) =>
    queries.all<EventRow>(
      sql`select ${columns} from events e where ${all([...conditions, text])} order by e.seq desc limit ${limit}`,
    )
  const words = (filter.q ?? '').split(/\s+/).filter(Boolean)
  if (words.length === 0) return find(undefined)
  const phrases = words.filter((word) => /[\p{L}\p{N}]/u.test(word)).map((word) => `"${word.replaceAll('"', '""')}"*`)
  if (phrases.length === 0) return find(like(words))
  try {
    return await find(sql`e.seq in (select rowid from events_text where events_text match ${phrases.join(' ')})`)
  } catch (error) {
    if (!String((error as Error).cause ?? error).includes('no such table')) throw error
    return find(like(words))
  }
}

function like(words: string[]): SQL {
  return all(words.map((word) => sql`e.text like ${contains(word)} escape '\\'`))
}

/** Returns events after a number, oldest first, for the live stream. */
export function eventsAfter(
  queries: Queries,
  { filter, after, limit }: { filter: EventFilter; after: number; limit: number },
) {
  return queries.all<EventRow>(sql`
    select ${columns} from events e where ${all([...matching(filter), sql`e.seq > ${after}`])} order by e.seq limit ${limit}`)
}

export async function lastSeq(queries: Queries): Promise<number> {
  const [row] = await queries.all<{ seq: number }>(sql`select coalesce(max(seq), 0) as seq from events`)
  return row?.seq ?? 0
}

/**
 * Returns all events of one message in order of time, with its acceptance first. A Queue Manager may have started
 * before the receiver recorded the acceptance, and the clocks of machines differ.
 */
export function traceOf(queries: Queries, messageId: string): Promise<EventRow[]> {
  return queries.all<EventRow>(
    sql`select ${columns} from events e where e.message_id = ${messageId}
      order by e.type <> 'message.accepted', e.at, e.seq limit 5000`,
  )
}
