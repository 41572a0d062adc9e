import type { Series } from '../pages/overview/Chart.tsx'
import type { Interval } from './range.ts'

/** Counts of an interval: of all events, or of those with a value. `null`: all values beyond the most frequent ones. */
export type Counted = { at: string; value?: string | number | null; count: number }

/** A line of a chart. `value` is `null` for all others. */
export type ChartLine = Omit<Series, 'look'> & { look: Exclude<Series['look'], 'bars'>; value: string | number | null }

const looks = [
  { color: 'accent', look: 'line' },
  { color: 'danger', look: 'line' },
  { color: 'info', look: 'dashes' },
  { color: 'warn', look: 'dashes' },
] as const
const lookOfOthers = { color: 'faint', look: 'dots' } as const

/** A line for each of the most frequent values, as many as can be told apart, and one for all others together. */
export function chartLines(items: readonly Counted[], intervals: readonly Interval[]): ChartLine[] {
  const sums = new Map<string | number, number>()
  for (const { value, count } of items)
    if (value !== undefined && value !== null) sums.set(value, (sums.get(value) ?? 0) + count)
  const most = [...sums].sort(([, a], [, b]) => b - a).slice(0, looks.length)
  const own = new Map<string | number | null | undefined, number>(most.map(([value], i) => [value, i]))
  const places = new Map(intervals.map(({ at }, i) => [at, i]))
  const counts = [...most, null].map(() => intervals.map(() => 0))
  for (const { at, value, count } of items) {
    const line = counts[own.get(value) ?? most.length]
    const place = places.get(Date.parse(at))
    if (line && place !== undefined) line[place] = (line[place] ?? 0) + count
  }
  const lines: ChartLine[] = most.map(([value], i) => ({
    ...(looks[i] ?? lookOfOthers),
    label: String(value),
    value,
    values: counts[i] ?? [],
  }))
  const others = counts[most.length] ?? []
  return others.some((count) => count > 0)
    ? [...lines, { ...lookOfOthers, label: 'all others', value: null, values: others }]
    : lines
}
