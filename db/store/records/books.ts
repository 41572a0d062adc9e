import { sql } from 'drizzle-orm'
import type { Queries } from '../database.ts'

/** Of a minute and a worker. `messages`, `refused` and `loginFailures` count those, the others recipients. */
export type MinuteCounts = {
  received: number
  delivered: number
  bounced: number
  discarded: number
  messages: number
  deferred: number
  refused: number
  loginFailures: number
  /** Recipients that got a second outcome: delivered twice, or returned twice. */
  duplicates: number
}

export type BooksRow = Pick<MinuteCounts, 'received' | 'delivered' | 'bounced' | 'discarded' | 'duplicates'>

/**
 * Returns the number of all recipients received so far, and of those waiting now. The first come from what the Queue
 * Managers count, the others are the rows of what they told, so that the two can disagree. While a Queue Manager tells
 * everything again, its own number counts.
 */
export async function booksTotal(queries: Queries): Promise<BooksRow & { queued: number }> {
  // One statement, so that no page of a Queue Manager comes between the two.
  const [sums] = await queries.all<BooksRow & { queued: number }>(sql`
    select coalesce(sum(received), 0) as received, coalesce(sum(delivered), 0) as delivered, coalesce(sum(bounced), 0) as bounced,
      coalesce(sum(discarded), 0) as discarded, coalesce(sum(duplicates), 0) as duplicates,
      (select coalesce(sum(case when complete then (select count(*) from waiting_recipients r
        where r.queue_manager = m.queue_manager) else waiting end), 0) from queue_mirrors m) as queued
    from books`)
  return { received: 0, delivered: 0, bounced: 0, discarded: 0, duplicates: 0, queued: 0, ...sums }
}

export type Span = { since: number; until: number; stepMs: number; worker?: string | undefined }

/** Returns sums by interval and worker, oldest first; `at` is the start of the interval. */
export function bookIntervals(queries: Queries, { since, until, stepMs, worker }: Span) {
  return queries.all<{ at: number; worker: string } & MinuteCounts>(sql`
    select minute - minute % ${stepMs} as at, worker, sum(received) as received, sum(delivered) as delivered, sum(bounced) as bounced,
      sum(discarded) as discarded, sum(messages) as messages, sum(deferred) as deferred, sum(refused) as refused,
      sum(login_failures) as loginFailures, sum(duplicates) as duplicates
    from books where minute >= ${since} and minute < ${until} and (${worker ?? ''} = '' or worker = ${worker ?? ''})
    group by 1, 2 order by 1, 2 limit 10000`)
}

/**
 * Remembers that an event tells of this balance. @returns `false` if one did already, or the books balanced and balance
 */
export async function isNewBalance(queries: Queries, balance: number): Promise<boolean> {
  const changed = await queries.all<{ balance: number }>(sql`
    insert into books_alarm (id, balance) values (1, ${balance})
    on conflict (id) do update set balance = excluded.balance where balance <> excluded.balance returning balance`)
  return changed.length > 0 && balance !== 0
}

/**
 * Sets how many recipients of an hour got a second outcome. Counting the hour again changes nothing.
 * @returns how many more there are than before
 */
export async function setDuplicates(
  queries: Queries,
  { hour, worker, duplicates }: { hour: number; worker: string; duplicates: number },
): Promise<number> {
  const [before] = await queries.all<{ duplicates: number }>(
    sql`select duplicates from books where minute = ${hour} and worker = ${worker}`,
  )
  await queries.run(sql`
    insert into books (minute, worker, duplicates) values (${hour}, ${worker}, ${duplicates})
    on conflict (minute, worker) do update set duplicates = excluded.duplicates`)
  return duplicates - (before?.duplicates ?? 0)
}
