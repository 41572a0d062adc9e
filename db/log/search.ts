import type { Row } from './duckdb.ts'
import { type Condition, conditionOf, type EventFilter } from './filter.ts'
import { daysWithFiles, type HourFiles, type Period } from './hours.ts'
import type { LogFiles } from './log-files.ts'

/** An event as the log has it. */
export type LoggedEvent = {
  worker: string
  /** The id of the worker's log. */
  log: string
  n: number
  /** In ms. */
  at: number
  type: string
  messageId?: string
  /** Without number, time and type. */
  fields: Record<string, unknown>
}

/** The place of an event in the order of the log: by time, then worker, log and number. */
export type Position = { at: number; worker: string; log: string; n: number }

/** How long a search may take. */
export type Limits = {
  /** An abort ends the search with the signal's reason. */
  signal?: AbortSignal | undefined
  /** After so many ms it answers what it has. */
  deadlineMs?: number | undefined
}

/** How far a search came. */
export type Reach = {
  /** Everything from here on was looked at, in ms; the filter's `since` when the search is complete and it has one. */
  searchedBackTo: number
  /** Whether nothing older is left to look at. `false` with a page that is full, or when the deadline came first. */
  complete: boolean
  /** Files within reach that cannot be read, by key. */
  skipped: string[]
}

/** A step of a search: hours that are read in one query. */
export type Step = { hours: HourFiles[]; signal: AbortSignal }

/** Hours in one query: more and more while nothing is found, so that a year is not 8 760 queries. */
const maxHoursAtOnce = 32
/** Of files in one query; one hour may have more. From a bucket they are fetched first. */
const maxBytesAtOnce = 67_108_864

/**
 * Walks the hours of a period, newest first, until `read` says that it has enough or the deadline has passed.
 * `read` is told the hours of one step at a time. What it did before an interrupted step counts.
 */
export async function searchBack(
  files: LogFiles,
  { since, until, signal, deadlineMs }: { since?: number | undefined; until?: number | undefined } & Limits,
  read: (step: Step) => Promise<'enough' | 'more'>,
): Promise<Reach> {
  const deadline = deadlineMs === undefined ? undefined : AbortSignal.timeout(Math.max(0, Math.ceil(deadlineMs)))
  const either = AbortSignal.any([signal, deadline].filter((one) => one !== undefined))
  let searchedBackTo = until ?? files.now()
  const skipped = new Set<string>()
  const reach = (complete: boolean): Reach => ({ searchedBackTo, complete, skipped: [...skipped] })
  try {
    for await (const hours of hoursBack(files, { since, until })) {
      either.throwIfAborted()
      const isEnough = (await read({ hours, signal: either })) === 'enough'
      for (const key of keysOf(hours)) if (files.damaged.has(key)) skipped.add(key)
      searchedBackTo = Math.max(since ?? 0, hours.at(-1)?.hour ?? searchedBackTo)
      if (isEnough) return reach(false)
    }
    searchedBackTo = since ?? 0
    return reach(true)
  } catch (error) {
    signal?.throwIfAborted()
    if (deadline?.aborted) return reach(false)
    throw error
  }
}

/** The hours of a period that have files, newest first: one, then two, then four in a step, while they are not too large. */
export const hoursBack = (files: LogFiles, period: Period) => hoursInSteps(files, period, 'back')
/** The same, oldest first. */
export const hoursForward = (files: LogFiles, period: Period) => hoursInSteps(files, period, 'forward')

async function* hoursInSteps(
  files: LogFiles,
  period: Period,
  direction: 'back' | 'forward',
): AsyncGenerator<HourFiles[]> {
  let step: HourFiles[] = []
  let size = 1
  let bytes = 0
  const inOrder = <T>(newestFirst: T[]): T[] => (direction === 'back' ? newestFirst : newestFirst.toReversed())
  for (const day of inOrder(await daysWithFiles(files.store, period))) {
    for (const hour of inOrder((await files.day(day, period)).hours)) {
      step.push(hour)
      bytes += bytesOf(hour)
      if (step.length < size && bytes < maxBytesAtOnce) continue
      yield step
      step = []
      bytes = 0
      size = Math.min(size * 2, maxHoursAtOnce)
    }
  }
  if (step.length > 0) yield step
}

const bytesOf = ({ parquet, batches }: HourFiles): number =>
  [...parquet.slice(0, 1), ...batches].reduce((sum, { bytes }) => sum + bytes, 0)

const keysOf = (hours: readonly HourFiles[]): string[] =>
  hours.flatMap(({ parquet, batches }) => [...parquet, ...batches].map(({ key }) => key))

export type Found = Reach & {
  /** Newest first. */
  items: LoggedEvent[]
  /** Where the next page begins: behind the last event, or behind what was searched in time. Absent: there is none. */
  next?: Position
}

export type FindQuery = EventFilter & Limits & { limit: number; before?: Position | undefined }

/** Events of the log, newest first. */
export async function findEvents(files: LogFiles, query: FindQuery): Promise<Found> {
  const { limit, before, since, signal, deadlineMs } = query
  if (!Number.isSafeInteger(limit) || limit < 1) throw new RangeError(`not a number of events: ${limit}`)
  const until = before ? Math.min(query.until ?? Number.POSITIVE_INFINITY, before.at + 1) : query.until
  const { sql, values } = conditionOf({ ...query, until })
  const condition = conditionBehind(before, { sql: `logged and ${sql}`, values })
  const items: LoggedEvent[] = []
  const reach = await searchBack(files, { since, until, signal, deadlineMs }, async (step) => {
    items.push(...(await newestOf(files, step, { condition, limit: limit + 1 - items.length })))
    return items.length > limit ? 'enough' : 'more'
  })
  const page = items.slice(0, limit)
  const last = page.at(-1)
  if (items.length > limit && last) return { ...reach, searchedBackTo: last.at, items: page, next: positionOf(last) }
  if (reach.complete) return { ...reach, items: page }
  return { ...reach, items: page, next: behind(reach, before) }
}

/** Where a search goes on that the deadline ended: behind what was searched, and never before where it began. */
export function behind({ searchedBackTo }: Reach, seen: Position | undefined): Position {
  return seen && seen.at < searchedBackTo ? seen : { at: searchedBackTo, worker: '', log: '', n: 0 }
}

/** Events that come after a position in the order of the log, newest first. */
export function conditionBehind(before: Position | undefined, { sql, values }: Condition): Condition {
  if (!before) return { sql, values }
  const { at, worker, log, n } = before
  return {
    sql: `${sql} and ("at" < make_timestamp_ms($at::bigint)::timestamp_ms or (worker, log, n) < ($worker, $log, $n::bigint))`,
    values: { ...values, at, worker, log, n },
  }
}

/** The columns of a LoggedEvent. */
const eventColumns = `worker, log, n::double as n, epoch_ms("at")::double as "at", "type", message_id, event`
export const newestFirst = `"at" desc, worker desc, log desc, n desc`

export async function newestOf(
  files: LogFiles,
  { hours, signal }: Step,
  { condition, limit }: { condition: Condition; limit: number },
): Promise<LoggedEvent[]> {
  const sql = (source: string) =>
    `select ${eventColumns} from (${source}) where ${condition.sql} order by ${newestFirst} limit ${limit}`
  return (await files.query(hours, { sql, values: condition.values, signal })).map(eventOf)
}

export function eventOf(row: Row): LoggedEvent {
  const { n: _n, at: _at, type: _type, log: _log, ...fields } = fieldsOf(String(row.event))
  return {
    worker: String(row.worker),
    log: String(row.log),
    n: Number(row.n),
    at: Number(row.at),
    type: String(row.type),
    ...(row.message_id === null ? {} : { messageId: String(row.message_id) }),
    fields,
  }
}

/** DuckDB takes some texts for JSON that are not, such as NaN: an event with one is shown without its fields. */
function fieldsOf(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return {}
  }
}

export const positionOf = ({ at, worker, log, n }: Position): Position => ({ at, worker, log, n })

/** The trace of a message: its acceptance, then what became of it, by time; also what the log leaves out. */
export async function traceMessage(files: LogFiles, messageId: string, limits: Limits = {}): Promise<LoggedEvent[]> {
  const since = timeOfId(messageId)
  const condition = conditionOf({ message: messageId })
  const events: LoggedEvent[] = []
  await searchBack(files, { since: since === undefined ? undefined : since - clockMs, ...limits }, async (step) => {
    events.push(...(await newestOf(files, step, { condition, limit: maxTrace })))
    return 'more'
  })
  return events.sort(
    (a, b) =>
      Number(b.type === 'message.accepted') - Number(a.type === 'message.accepted') ||
      a.at - b.at ||
      (a.worker < b.worker ? -1 : a.worker > b.worker ? 1 : 0) ||
      a.n - b.n,
  )
}

/** The time in an id and the time of the event may come from two looks at the clock. */
const clockMs = 60_000

/** Events of one message in one step. A message of thousands of recipients has thousands. */
const maxTrace = 10_000

/** The time in a UUIDv7 (RFC 9562 §5.7), in ms; `undefined` for another id. */
export function timeOfId(id: string): number | undefined {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-7/i.test(id) ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) : undefined
}
