import { figure, median } from '../figures.ts'
import { type Folder, type Part, parts, type Sample } from './sample.ts'

/** What is charted and judged: one line over time each, with the growth that still counts as flat. */

export type Growth =
  /** The last quarter's median may be above the first one's by this part, or by this much, whichever is more. */
  | { kind: 'flat'; part: number; much: number }
  /** It grows with each message, by design. */
  | { kind: 'by message' }
  /** Shown only. */
  | { kind: 'shown' }

export type Series = {
  name: string
  panel: Panel['title']
  of(sample: Sample): number
  growth: Growth
}

export type Panel = { title: string; unit: 'MB' | '' | 'ms' | '/s' }
export const panels = [
  { title: 'resident memory', unit: 'MB' },
  { title: 'JavaScript heap', unit: 'MB' },
  { title: 'open descriptors', unit: '' },
  { title: 'disk: mail', unit: 'MB' },
  { title: 'disk: database and event journals', unit: 'MB' },
  { title: 'disk: log', unit: 'MB' },
  { title: 'waiting', unit: '' },
  { title: 'messages a second', unit: '/s' },
  { title: 'dot → 250, p99', unit: 'ms' },
] as const satisfies Panel[]

const mega = 1_000_000
const names: Record<Part, string> = { api: 'API', smtp: 'receiver', queue: 'Queue Manager' }
/** Space is given back by segments of 64 MiB: one may be almost empty, another almost full. */
const segmentMb = 2 * 68
/** Seconds; of less, nothing is judged, because code is still being compiled and caches still grow. */
const enoughSeconds = 240

const ofEachPart = (panel: string, growth: Growth, of: (sample: Sample, part: Part) => number): Series[] =>
  parts.map((part) => ({ name: names[part], panel, growth, of: (sample) => of(sample, part) }))
const onDisk = (folder: Folder, panel: string, growth: Growth): Series => ({
  name: folder,
  panel,
  growth,
  of: ({ disk }) => disk[folder] / mega,
})

export const series: Series[] = [
  ...ofEachPart('resident memory', { kind: 'flat', part: 0.1, much: 0 }, ({ resident }, part) => resident[part] / mega),
  ...ofEachPart('JavaScript heap', { kind: 'flat', part: 0.1, much: 5 }, ({ heap }, part) => heap[part] / mega),
  ...ofEachPart('open descriptors', { kind: 'flat', part: 0, much: 5 }, ({ descriptors }, part) => descriptors[part]),
  onDisk('spool', 'disk: mail', { kind: 'flat', part: 0.1, much: segmentMb }),
  onDisk('queue', 'disk: mail', { kind: 'flat', part: 0.1, much: 10 }),
  // The WAL of the events database is checkpointed each 8 000 pages (32 MiB) and keeps its size.
  onDisk('db', 'disk: database and event journals', { kind: 'flat', part: 0.1, much: 40 }),
  onDisk('worker', 'disk: database and event journals', { kind: 'flat', part: 0.1, much: 10 }),
  onDisk('cache', 'disk: database and event journals', { kind: 'flat', part: 0.1, much: 10 }),
  onDisk('log', 'disk: log', { kind: 'by message' }),
  { name: 'messages', panel: 'waiting', growth: { kind: 'flat', part: 0.1, much: 1000 }, of: ({ waiting }) => waiting },
  {
    name: 'unsent events',
    panel: 'waiting',
    growth: { kind: 'flat', part: 0.1, much: 10_000 },
    of: ({ eventsUnsent }) => eventsUnsent,
  },
  { name: 'accepted', panel: 'messages a second', growth: { kind: 'shown' }, of: ({ perSecond }) => perSecond },
  { name: 'receiver', panel: 'dot → 250, p99', growth: { kind: 'shown' }, of: ({ p99Ms }) => p99Ms },
]

export type Verdict = {
  series: Series
  first: number
  last: number
  /** Least squares, an hour. */
  slopeAnHour: number
  flat: 'yes' | 'no' | 'too short' | `${string} bytes a message` | ''
}

export function judge(one: Series, samples: readonly Sample[]): Verdict {
  const known = samples.filter((sample) => Number.isFinite(one.of(sample)))
  const values = known.map(one.of)
  const quarter = Math.max(1, Math.floor(values.length / 4))
  const [first, last] = [median(values.slice(0, quarter)), median(values.slice(-quarter))]
  const hours = known.map(({ at }) => at / 3600)
  const slopeAnHour = isLongEnough(samples) ? slope(hours, values) : Number.NaN
  return { series: one, first, last, slopeAnHour, flat: verdict(one, { first, last, samples }) }
}

function isLongEnough(samples: readonly Sample[]): boolean {
  return (samples.at(-1)?.at ?? 0) - (samples[0]?.at ?? 0) >= enoughSeconds
}

function verdict(
  { growth, of }: Series,
  { first, last, samples }: { first: number; last: number; samples: readonly Sample[] },
): Verdict['flat'] {
  switch (growth.kind) {
    case 'shown':
      return ''
    case 'by message': {
      const [begin, end] = [samples[0], samples.at(-1)]
      if (!begin || !end || end.accepted === begin.accepted) return 'too short'
      return `${figure(((of(end) - of(begin)) * mega) / (end.accepted - begin.accepted))} bytes a message`
    }
    default:
      if (!isLongEnough(samples)) return 'too short'
      return last <= first + Math.max(first * growth.part, growth.much) ? 'yes' : 'no'
  }
}

function slope(xs: readonly number[], ys: readonly number[]): number {
  const mean = (of: readonly number[]) => of.reduce((sum, value) => sum + value, 0) / of.length
  const [x0, y0] = [mean(xs), mean(ys)]
  const across = xs.reduce((sum, x, n) => sum + (x - x0) * ((ys[n] as number) - y0), 0)
  const along = xs.reduce((sum, x) => sum + (x - x0) ** 2, 0)
  return along === 0 ? 0 : across / along
}

/** One line a sample, one column a series, for whoever wants to draw something else. */
export function csv(samples: readonly Sample[]): string {
  const head = ['seconds', ...series.map(({ name, panel }) => `"${panel}, ${name}"`), 'accepted', 'balance']
  const lines = samples.map((sample) => [
    sample.at.toFixed(1),
    ...series.map(({ of }) => String(Math.round(of(sample) * 1000) / 1000)),
    sample.accepted,
    sample.balance,
  ])
  return `${[head, ...lines].map((line) => line.join(',')).join('\n')}\n`
}
