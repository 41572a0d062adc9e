import { type EventType, eventTypeNames } from '@postern/contract/events.ts'
import type { LogLevel } from '@postern/contract/log-lines.ts'
import type { EventFilter } from '@postern/log/filter.ts'
import type { Position } from '@postern/log/search.ts'
import { afterCursor } from '../pagination.ts'
import { invalid } from '../problem.ts'
import type { Call } from '../write-revision.ts'

/** What the searches of the log have in common: filters, cursors and limits. */

/** Filters as given in the query. `type`: event types, or prefixes such as `delivery.`, separated by commas. */
export type EventQuery = {
  since?: string | undefined
  until?: string | undefined
  type?: string | undefined
  level?: Exclude<LogLevel, 'off'> | undefined
  worker?: string | undefined
  message?: string | undefined
  sender?: string | undefined
  recipient?: string | undefined
  domain?: string | undefined
  client?: string | undefined
  login?: string | undefined
  rule?: string | undefined
  reason?: string | undefined
  code?: string | undefined
  q?: string | undefined
}

export function filterOf({ type, since, until, ...rest }: EventQuery): EventFilter {
  const filter = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)) as EventFilter
  if (type !== undefined) filter.types = typesOf(type)
  if (since !== undefined) filter.since = Date.parse(since)
  if (until !== undefined) filter.until = Date.parse(until)
  return filter
}

function typesOf(text: string): EventType[] {
  return text.split(',').flatMap((wanted) => {
    const found = eventTypeNames.filter((name) => name === wanted || (wanted.endsWith('.') && name.startsWith(wanted)))
    if (found.length === 0)
      throw invalid([
        {
          path: 'type',
          message: `type is "${wanted.slice(0, 60)}" but must be one of ${eventTypeNames.join(', ')}, or a beginning such as delivery.`,
        },
      ])
    return found
  })
}

/** A search ends after this time and answers with what it has found. */
const deadlineMs = 20_000

export const limitsOf = ({ signal }: Call): { signal: AbortSignal; deadlineMs: number } => ({ signal, deadlineMs })

/** Names an event in the log: `worker.log.number`. */
export const eventIdOf = ({ worker, log, n }: Pick<Position, 'worker' | 'log' | 'n'>): string => `${worker}.${log}.${n}`

export const positionText = (position: Position): string => `${position.at}.${eventIdOf(position)}`

/** Worker and log are empty in a position between events. */
const positionPattern = /^(\d{1,15})\.([a-z0-9-]{0,41})\.((?:[0-9a-f]{12})?)\.(\d{1,16})$/

/** Reads the text of a position; `undefined` if it is none. */
export function positionIn(text: string): Position | undefined {
  const [, at, worker = '', log = '', n] = positionPattern.exec(text) ?? []
  return at === undefined ? undefined : { at: Number(at), worker, log, n: Number(n) }
}

/** Throws 422 for a cursor that was not made here. */
export function positionOf(cursor: string | undefined): Position | undefined {
  const text = afterCursor(cursor)
  if (text === undefined) return undefined
  const position = positionIn(text)
  if (!position) throw invalid([{ path: 'cursor', message: 'cursor must be the nextCursor of the previous page' }])
  return position
}
