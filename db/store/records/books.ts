import { sql } from 'drizzle-orm'
import type { Queries } from '../database.ts'
import type { MinuteCounts } from './event-effects.ts'

export type BooksRow = Pick<MinuteCounts, 'received' | 'delivered' | 'bounced' | 'discarded' | 'duplicates'>

/**
 * Returns the number of all recipients received so far, and of those waiting now. The two are counted separately, so
 * that they can disagree.
 */
export async function booksTotal(queries: Queries): Promise<BooksRow & { queued: number }> {
  const [sums] = await queries.all<BooksRow>(sql`
    select coalesce(sum(received), 0) as received, coalesce(sum(delivered), 0) as delivered, coalesce(sum(bounced), 0) as bounced,
      coalesce(sum(discarded), 0) as discarded, coalesce(sum(duplicates), 0) as duplicates from books`)
  const [waiting] = await queries.all<{ queued: number }>(
    sql`select count(*) as queued from recipients where outcome = 'waiting'`,
  )
  return { received: 0, delivered: 0, bounced: 0, discarded: 0, duplicates: 0, ...sums, queued: waiting?.queued ?? 0 }
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
