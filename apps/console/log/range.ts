/** The time range of a search: the last minutes or days, or from and until. Pure; `now` is passed in. */

export const ranges = {
  '15m': { title: 'last 15 minutes', minutes: 15 },
  hour: { title: 'last hour', minutes: 60 },
  day: { title: 'last 24 hours', minutes: 1_440 },
  week: { title: 'last 7 days', minutes: 10_080 },
  all: { title: 'any time', minutes: undefined },
} as const
export type RangeName = keyof typeof ranges
export const rangeNames = Object.keys(ranges) as RangeName[]

/** As in the URL. `since` and `until` are times in UTC; with one of them, `range` does not count. */
export type RangeSearch = {
  range?: RangeName | undefined
  since?: string | undefined
  until?: string | undefined
}
/** As the API takes it: from `since`, inclusive, to `until`, exclusive. */
export type Span = { since?: string | undefined; until?: string | undefined }

const minuteMs = 60_000

export const isCustom = ({ since, until }: RangeSearch): boolean => since !== undefined || until !== undefined

export function spanOf(search: RangeSearch, usual: RangeName, now: number): Span {
  if (isCustom(search)) return { since: search.since, until: search.until }
  const { minutes } = ranges[search.range ?? usual]
  return minutes === undefined ? {} : { since: new Date(now - minutes * minuteMs).toISOString() }
}

export function parseRange({ range, since, until }: Record<string, unknown>): RangeSearch {
  const search: RangeSearch = { since: timeIn(since), until: timeIn(until) }
  if (isCustom(search)) return search
  return { range: rangeNames.find((name) => name === range) }
}

/** Reads a time of the URL; `undefined` if it is none. */
function timeIn(value: unknown): string | undefined {
  const at = typeof value === 'string' ? Date.parse(value) : Number.NaN
  return Number.isNaN(at) ? undefined : isoOf(at)
}

const isoOf = (at: number): string | undefined =>
  Math.abs(at) <= 253_402_300_799_999 && at >= 0 ? new Date(at).toISOString() : undefined

const two = (n: number): string => String(n).padStart(2, '0')

/** The value of a `datetime-local` control for a time: local, to the second. */
export function toLocal(iso: string | undefined): string {
  if (iso === undefined) return ''
  const at = new Date(iso)
  const day = `${String(at.getFullYear()).padStart(4, '0')}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  return `${day}T${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
}

/** The time for the value of a `datetime-local` control; `undefined` if it is empty or incomplete. */
export const fromLocal = (value: string): string | undefined => (value === '' ? undefined : timeIn(value))

const steps = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440]
const mostIntervals = 60

/** The width of an interval, so that a chart of the span has at most 60 of them, or one a day. */
export function stepMinutesOf({ since, until }: Span, now: number): number {
  if (since === undefined) return 1440
  const minutes = ((until === undefined ? now : Date.parse(until)) - Date.parse(since)) / minuteMs
  return steps.find((step) => minutes / step <= mostIntervals) ?? 1440
}

export type Interval = { at: number; count: number }

/** All intervals of the span, those without events included, which the API leaves out. The counts of values are added up. */
export function intervalsOf(
  items: readonly { at: string; count: number }[],
  { since, until, now, stepMinutes }: Span & { now: number; stepMinutes: number },
): Interval[] {
  const step = stepMinutes * minuteMs
  const counts = new Map<number, number>()
  for (const { at, count } of items) counts.set(Date.parse(at), (counts.get(Date.parse(at)) ?? 0) + count)
  const first = items[0]
  const begin = since === undefined ? (first ? Date.parse(first.at) : now) : Date.parse(since)
  const end = until === undefined ? now : Date.parse(until)
  const intervals: Interval[] = []
  for (let at = Math.floor(begin / step) * step; at < end && intervals.length < mostShown; at += step)
    intervals.push({ at, count: counts.get(at) ?? 0 })
  return intervals
}

/** Ten years by day. */
const mostShown = 3_660

/** The range of one interval or several, within the span. */
export function narrowed({ since, until }: Span, from: number, to: number): RangeSearch {
  const begin = since === undefined ? from : Math.max(from, Date.parse(since))
  const end = until === undefined ? to : Math.min(to, Date.parse(until))
  return { since: isoOf(begin), until: isoOf(end) }
}
