import type { EventType } from '@postern/contract/events.ts'
import { levelOf } from '@postern/contract/log-lines.ts'
import type { LoggedEvent, Position } from '@postern/log/search.ts'
import { invalid } from '../problem.ts'
import { recentEvents } from '../recent-events.ts'
import type { Call } from '../write-revision.ts'
import { type EventQuery, eventIdOf, filterOf, limitsOf, positionIn, positionText } from './event-query.ts'
import { eventView } from './events.ts'

/** The live view of the log. */

/** The filters that a stream takes. */
export type StreamQuery = Pick<EventQuery, 'type' | 'level' | 'worker' | 'message' | 'q'>

const pollMs = 1_000
const heartbeatMs = 15_000
const pageEvents = 200
/** How long an event takes at most from its worker into the log, in normal operation. */
const settleMs = 2_000
/** How often a client asks where answers are not held. */
const askAgainMs = 2_000
/** After a reconnect, at most this many missed events are sent. */
const maxMissed = 1_000

/**
 * Streams stored events as server-sent events (WHATWG HTML §9.2), from now or after `Last-Event-ID`. The stream ends
 * when the caller's token expires, and within seconds after the session ends or the role changes. The client reconnects
 * with a new token and the last id it has.
 */
export async function streamEvents(call: Call, query: StreamQuery, lastEventId: string | undefined): Promise<Response> {
  const last = lastEventId === undefined ? undefined : positionIn(lastEventId)
  if (lastEventId !== undefined && !last)
    throw invalid([{ path: 'Last-Event-ID', message: 'Last-Event-ID must be the id of an event of this stream' }])
  return call.parts.streams === 'polled' ? polledEvents(call, query, last) : heldEvents(call, query, last)
}

/**
 * Answers with the events since `last` and ends. The last id of the answer is a time, from which the next answer goes on.
 * That time is a little ago, because events take a while from their worker to the log. One that takes longer, e.g. during
 * an outage, is found by searches only.
 */
async function polledEvents(call: Call, query: StreamQuery, last: Position | undefined): Promise<Response> {
  const until = call.parts.now() - settleMs
  const events = last && last.at < until ? await eventsAfter(call, query, last, until) : []
  const full = events.length >= maxMissed
  const next = full ? '' : `id: ${positionText({ at: Math.max(until, last?.at ?? 0), worker: '', log: '', n: 0 })}\n\n`
  return answerOf(`retry: ${askAgainMs}\n\n${events.map(frameOf).join('')}${next}`)
}

async function heldEvents(call: Call, query: StreamQuery, last: Position | undefined): Promise<Response> {
  const { parts, who, signal } = call
  const recent = recentEvents(parts)
  const isWanted = matcherOf(query)
  const resumed = last && recent.after(last)
  let next = resumed ?? recent.end
  let waiting = last && resumed === undefined ? await eventsAfter(call, query, last) : []
  // What was stored during the search is also among the recent events.
  const searched = new Set(waiting.map(eventIdOf))
  const isNew = (event: LoggedEvent) => isWanted(event) && !searched.has(eventIdOf(event))
  const encoder = new TextEncoder()
  const ended = new AbortController()
  signal.addEventListener('abort', () => ended.abort())
  let lastWrite = performance.now()
  let lastAsked = performance.now()
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(encoder.encode('retry: 1000\n: follow\n\n')),
    async pull(controller) {
      while (!ended.signal.aborted && parts.now() < (who.expiresAt ?? Number.POSITIVE_INFINITY)) {
        if (performance.now() - lastAsked > pollMs) {
          if (!(await call.isStillAllowed())) break
          lastAsked = performance.now()
        }
        const found = await recent.from(next, pageEvents)
        next = found ? next + found.length : recent.end
        const events = [...waiting, ...(found ?? []).filter(isNew)]
        waiting = []
        const skipped = found ? '' : ': some events were skipped, because they came faster than they were read\n\n'
        const text = skipped + events.map(frameOf).join('')
        const isQuiet = performance.now() - lastWrite > heartbeatMs
        if (text !== '' || isQuiet) {
          lastWrite = performance.now()
          controller.enqueue(encoder.encode(text || ': still here\n\n'))
          return
        }
        if (next === recent.end) await recent.more(pollMs, ended.signal)
      }
      controller.close()
    },
    cancel: () => ended.abort(),
  })
  return answerOf(body)
}

function answerOf(body: ReadableStream | string): Response {
  return new Response(body, {
    headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' },
  })
}

function frameOf(event: LoggedEvent): string {
  return `id: ${positionText(event)}\nevent: ${event.type}\ndata: ${JSON.stringify(eventView(event))}\n\n`
}

/** Returns the events after a position from the log, oldest first: another process stored them, or it was long ago. */
async function eventsAfter(call: Call, query: StreamQuery, last: Position, until?: number): Promise<LoggedEvent[]> {
  const search = { ...filterOf(query), ...limitsOf(call), since: last.at, until, limit: maxMissed }
  const { items } = await call.parts.eventStore.find(search)
  const at = items.findIndex((event) => isAt(event, last))
  return (at < 0 ? items : items.slice(0, at)).reverse()
}

const isAt = (event: Pick<LoggedEvent, 'worker' | 'log' | 'n'>, position: Position): boolean =>
  eventIdOf(event) === eventIdOf(position)

/** Filters events as the search of the log does. */
function matcherOf(query: StreamQuery): (event: LoggedEvent) => boolean {
  const { types, level, worker, message, q = '' } = filterOf(query)
  const wanted = types && new Set<string>(types)
  const words = q
    .toLowerCase()
    .split(/\s+/)
    .filter(Boolean)
    .map((word) => JSON.stringify(word).slice(1, -1))
  return (event) => {
    if (event.fields.log === false) return false
    if (wanted && !wanted.has(event.type)) return false
    if (level !== undefined && levelOf(event.type as EventType) !== level) return false
    if (worker !== undefined && event.worker !== worker) return false
    if (message !== undefined && event.messageId !== message) return false
    if (words.length === 0) return true
    const text = `${event.type} ${JSON.stringify(event.fields)}`.toLowerCase()
    return words.every((word) => text.includes(word))
  }
}
