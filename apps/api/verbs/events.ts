import { type EventType, eventTypes, type PosternEvent, sentenceOf } from '@postern/contract/events.ts'
import type { RecordedEvent } from '@postern/contract/views.ts'
import type { CountedColumn } from '@postern/log/columns.ts'
import type { LoggedEvent } from '@postern/log/search.ts'
import { oneSearch } from '../one-search.ts'
import { cursorOf, iso } from '../pagination.ts'
import type { Call } from '../write-revision.ts'
import { type EventQuery, eventIdOf, filterOf, limitsOf, positionOf, positionText } from './event-query.ts'

/** Searches of the log. */

export async function readEvents(
  call: Call,
  { limit, cursor, ...query }: EventQuery & { limit: number; cursor?: string | undefined },
) {
  const before = positionOf(cursor)
  const { items, next, searchedBackTo, complete } = await oneSearch(call, () =>
    call.parts.eventStore.find({
      ...filterOf(query),
      ...limitsOf(call),
      ...(before ? { before } : {}),
      limit,
    }),
  )
  return {
    items: items.map(eventView),
    nextCursor: next ? cursorOf(positionText(next)) : null,
    searchedBackTo: iso(searchedBackTo),
    complete,
  }
}

/** Counts events by the values of a column, most frequent first. */
export async function readTop(call: Call, { by, limit, ...query }: EventQuery & { by: CountedColumn; limit: number }) {
  const { items, searchedBackTo, complete } = await oneSearch(call, () =>
    call.parts.eventStore.top({
      ...filterOf(query),
      ...limitsOf(call),
      by,
      limit,
    }),
  )
  return { items, searchedBackTo: iso(searchedBackTo), complete }
}

export type SeriesQuery = EventQuery & { by?: CountedColumn | undefined; stepMinutes: number }

const minuteMs = 60_000

/** Counts events by interval, in order of time. Intervals without events are left out. */
export async function readSeries(call: Call, { by, stepMinutes, ...query }: SeriesQuery) {
  const { items, searchedBackTo, complete } = await oneSearch(call, () =>
    call.parts.eventStore.series({
      ...filterOf(query),
      ...limitsOf(call),
      stepMs: stepMinutes * minuteMs,
      ...(by ? { by } : {}),
    }),
  )
  return {
    items: items.map(({ at, ...counted }) => ({ at: iso(at), ...counted })),
    searchedBackTo: iso(searchedBackTo),
    complete,
  }
}

const media = {
  ndjson: 'application/x-ndjson',
  csv: 'text/csv; charset=utf-8',
  parquet: 'application/vnd.apache.parquet',
}

/** Streams all matching events as a file. */
export function exportEvents(call: Call, { format, ...query }: EventQuery & { format: keyof typeof media }): Response {
  const pieces = call.parts.eventStore.export({ ...filterOf(query), signal: call.signal, format })
  const name = `postern-events-${iso(call.parts.now()).slice(0, 16).replaceAll(':', '')}.${format}`
  return new Response(streamOf(pieces), {
    headers: {
      'content-type': media[format],
      'content-disposition': `attachment; filename="${name}"`,
      'cache-control': 'no-store',
    },
  })
}

function streamOf(pieces: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const source = pieces[Symbol.asyncIterator]()
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await source.next()
      if (done) controller.close()
      else controller.enqueue(value)
    },
    async cancel() {
      await source.return?.()
    },
  })
}

export function eventView({ worker, log, n, at, type, messageId, fields }: LoggedEvent): RecordedEvent {
  return {
    ...fields,
    id: eventIdOf({ worker, log, n }),
    worker,
    n,
    at: iso(at),
    type,
    title: eventTypes[type as EventType]?.title ?? type,
    text: textOf({ ...fields, n, at: iso(at), type }),
    ...(messageId === undefined ? {} : { messageId }),
  }
}

/** An event of a newer version, or one that was damaged, is still shown. */
function textOf(event: { n: number; at: string; type: string }): string {
  if (!Object.hasOwn(eventTypes, event.type)) return 'an event of a newer version'
  try {
    return sentenceOf(event as PosternEvent)
  } catch {
    return 'an event this version cannot read'
  }
}
