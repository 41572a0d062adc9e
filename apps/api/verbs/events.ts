import { type EventType, eventTypeNames, eventTypes, type PosternEvent, sentenceOf } from '@postern/contract/events.ts'
import type { RecordedEvent } from '@postern/contract/views.ts'
import { type EventFilter, type EventRow, eventsAfter, findEvents, lastSeq } from '@postern/store/records/events.ts'
import { untilEvents } from '../event-signal.ts'
import { iso, numberCursor, pageOf } from '../pagination.ts'
import { invalid } from '../problem.ts'
import type { Call } from '../write-revision.ts'

export type EventQuery = {
  /** Event types, or prefixes such as `delivery.`, separated by commas. */
  type?: string | undefined
  worker?: string | undefined
  messageId?: string | undefined
  since?: string | undefined
  until?: string | undefined
  q?: string | undefined
}

export async function readEvents(
  { parts }: Call,
  { limit, cursor, ...query }: EventQuery & { limit: number; cursor?: string | undefined },
) {
  const page = { filter: filterOf(query), limit: limit + 1, before: numberCursor(cursor) }
  return pageOf(await findEvents(parts.records, page), { limit, key: ({ seq }) => seq, view: eventView })
}

function filterOf({ type, since, until, ...rest }: EventQuery): EventFilter {
  return {
    ...rest,
    type: type === undefined ? undefined : typesOf(type),
    since: since === undefined ? undefined : Date.parse(since),
    until: until === undefined ? undefined : Date.parse(until),
  }
}

function typesOf(text: string): string[] {
  return text.split(',').flatMap((wanted) => {
    const found = eventTypeNames.filter((name) => name === wanted || (wanted.endsWith('.') && name.startsWith(wanted)))
    if (found.length === 0)
      throw invalid([
        {
          path: 'type',
          message: `type is "${wanted.slice(0, 60)}" but must be one of ${eventTypeNames.join(', ')}, or a prefix such as "delivery."`,
        },
      ])
    return found
  })
}

export function eventView({ seq, worker, n, at, type, messageId, text: logged, json }: EventRow): RecordedEvent {
  const fields = JSON.parse(json) as object
  // A trace also shows events that are not part of the log.
  const text = logged || sentenceOf({ ...fields, n, at: iso(at), type } as PosternEvent)
  return {
    ...fields,
    id: String(seq),
    worker,
    n,
    at: iso(at),
    type,
    title: eventTypes[type as EventType]?.title ?? type,
    text,
    ...(messageId === null ? {} : { messageId }),
  }
}

const pollMs = 1_000
const heartbeatMs = 15_000
const pageRows = 200

/**
 * Streams stored events as server-sent events (WHATWG HTML §9.2), from now or after `Last-Event-ID`. The stream ends
 * when the caller's token expires, and within seconds after the session ends or the role changes. The client reconnects
 * with a new token and the last id it has.
 */
export async function streamEvents(call: Call, query: EventQuery, lastEventId: string | undefined): Promise<Response> {
  const { parts, who, signal } = call
  const filter = filterOf(query)
  if (lastEventId !== undefined && !/^\d{1,16}$/.test(lastEventId))
    throw invalid([{ path: 'Last-Event-ID', message: 'Last-Event-ID must be the id of an event' }])
  let after = lastEventId === undefined ? await lastSeq(parts.records) : Number(lastEventId)
  const encoder = new TextEncoder()
  const ended = new AbortController()
  signal.addEventListener('abort', () => ended.abort())
  let lastWrite = performance.now()
  let lastAsked = performance.now()
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(encoder.encode(`retry: 1000\n: follow from ${after}\n\n`)),
    async pull(controller) {
      while (!ended.signal.aborted && parts.now() < (who.expiresAt ?? Number.POSITIVE_INFINITY)) {
        if (performance.now() - lastAsked > pollMs) {
          if (!(await call.isStillAllowed())) break
          lastAsked = performance.now()
        }
        const upTo = await lastSeq(parts.records)
        const found = await eventsAfter(parts.records, { filter, after, limit: pageRows })
        after = found.length === pageRows ? (found.at(-1)?.seq ?? after) : Math.max(upTo, found.at(-1)?.seq ?? 0, after)
        const text = found
          .map((row) => `id: ${row.seq}\nevent: ${row.type}\ndata: ${JSON.stringify(eventView(row))}\n\n`)
          .join('')
        const isQuiet = performance.now() - lastWrite > heartbeatMs
        if (text !== '' || isQuiet) {
          lastWrite = performance.now()
          controller.enqueue(encoder.encode(text || ': still here\n\n'))
          return
        }
        await untilEvents(parts, pollMs, ended.signal)
      }
      controller.close()
    },
    cancel: () => ended.abort(),
  })
  return new Response(body, {
    headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' },
  })
}
