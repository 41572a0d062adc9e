import type { Books } from '@postern/contract/views.ts'
import { bookIntervals, booksTotal } from '@postern/store/records/books.ts'
import { listWorkers } from '@postern/store/records/workers.ts'
import { iso } from '../pagination.ts'
import { invalid } from '../problem.ts'
import type { Call } from '../write-revision.ts'

export type PeriodQuery = {
  since?: string | undefined
  until?: string | undefined
  stepMinutes: number
  worker?: string | undefined
}

const maxIntervals = 5_000

function spanOf({ parts }: Call, { since, until, stepMinutes, worker }: PeriodQuery) {
  const stepMs = stepMinutes * 60_000
  const end = until === undefined ? parts.now() + 60_000 : Date.parse(until)
  const start = since === undefined ? end - 86_400_000 : Date.parse(since)
  if (start >= end) throw invalid([{ path: 'since', message: `since is "${since}" but must be before until` }])
  if ((end - start) / stepMs > maxIntervals)
    throw invalid([
      {
        path: 'stepMinutes',
        message: `stepMinutes is ${stepMinutes}, which gives more than ${maxIntervals} intervals; use a larger value or a shorter period`,
      },
    ])
  return { since: start - (start % stepMs), until: end, stepMs, worker }
}

/** Returns totals since the beginning, and the intervals in the requested period. */
export async function readBooks(call: Call, query: PeriodQuery): Promise<Books> {
  const { parts } = call
  const span = spanOf(call, query)
  const total = await booksTotal(parts.records)
  const reports = (await listWorkers(parts.records))
    .map(({ report }) => report)
    .filter((report) => report !== undefined)
  const waiting = reports.map((report) => report.waiting?.recipients).filter((count) => count !== undefined)
  const receivers = reports.map(({ acknowledged }) => acknowledged).filter((count) => count !== undefined)
  const intervals = await bookIntervals(parts.records, span)
  return {
    total: { ...total, balance: balanceOf(total) },
    ...(receivers.length > 0
      ? {
          receivers: {
            messages: sum(receivers.map(({ messages }) => messages)),
            recipients: sum(receivers.map(({ recipients }) => recipients)),
          },
        }
      : {}),
    ...(waiting.length > 0 ? { queuedByWorkers: sum(waiting) } : {}),
    eventsUnsent: sum(reports.map(({ eventsUnsent }) => eventsUnsent)),
    intervals: intervals.map(({ at, worker, received, delivered, bounced, discarded, duplicates }) => ({
      at: iso(at),
      worker,
      received,
      delivered,
      bounced,
      discarded,
      duplicates,
    })),
  }
}

type Total = { received: number; delivered: number; bounced: number; discarded: number; queued: number }

/** 0 if every recipient that was received has an outcome or waits. */
export function balanceOf({ received, delivered, bounced, discarded, queued }: Total): number {
  return received - delivered - bounced - discarded - queued
}

const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0)

/** Returns one point per interval, summed over all workers. Empty intervals are included. */
export async function readStats(call: Call, query: PeriodQuery) {
  const span = spanOf(call, query)
  const found = await bookIntervals(call.parts.records, span)
  const series = new Map<number, Record<string, number>>()
  for (let at = span.since; at < span.until; at += span.stepMs)
    series.set(at, {
      messages: 0,
      received: 0,
      delivered: 0,
      deferred: 0,
      bounced: 0,
      discarded: 0,
      refused: 0,
      loginFailures: 0,
    })
  for (const { at, worker, duplicates, ...counts } of found) {
    const point = series.get(at)
    if (point) for (const [name, count] of Object.entries(counts)) point[name] = (point[name] ?? 0) + count
  }
  return { stepMinutes: query.stepMinutes, points: [...series].map(([at, counts]) => ({ at: iso(at), ...counts })) }
}
