/** Numbers and times as people read them. Pure; `now` is given. */

const count = new Intl.NumberFormat('en')
export const formatCount = (n: number): string => count.format(n)

const sizes = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

/** Binary units, as the settings count them: 26 214 400 is `25 MiB`. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let step = 0
  while (value >= 1024 && step < sizes.length - 1) {
    value /= 1024
    step += 1
  }
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${sizes[step]}`
}

const spans: readonly [number, string][] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1000, 's'],
]

/** `3 d 4 h`, `12 min`, `40 s`: two parts at most, and no seconds beside minutes. */
export function formatSpan(milliseconds: number): string {
  const span = Math.max(0, milliseconds)
  const from = spans.findIndex(([size]) => span >= size)
  const [size, unit] = spans[from] ?? [1000, 's']
  const first = `${Math.floor(span / size)} ${unit}`
  const next = spans[from + 1]
  const rest = next && next[1] !== 's' ? Math.floor((span % size) / next[0]) : 0
  return rest > 0 ? `${first} ${rest} ${next?.[1]}` : first
}

/** `12 min ago`, `in 3 h`, `now`. */
export function formatAgo(at: number, now: number): string {
  const span = now - at
  if (Math.abs(span) < 2000) return 'now'
  return span > 0 ? `${formatSpan(span)} ago` : `in ${formatSpan(-span)}`
}

const clock = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' })
/** Local date and time. */
export const formatTime = (at: string): string => clock.format(new Date(at))

/** The zone that times are shown in, e.g. `Europe/Berlin (GMT+1)`. */
export function timeZone(now = new Date()): string {
  const { timeZone: name } = clock.resolvedOptions()
  const parts = new Intl.DateTimeFormat('en-GB', { timeZoneName: 'shortOffset' }).formatToParts(now)
  const offset = parts.find(({ type }) => type === 'timeZoneName')?.value
  return offset && offset !== name ? `${name} (${offset})` : name
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${formatCount(n)} ${n === 1 ? one : many}`
}
