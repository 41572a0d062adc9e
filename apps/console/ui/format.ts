/** Formats numbers and times for people. Pure; `now` is passed in. */

const count = new Intl.NumberFormat('en')
export const formatCount = (n: number): string => count.format(n)

const sizes = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

/** Formats bytes in binary units, as in the settings: 26 214 400 is `25 MiB`. */
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

/** Formats a duration: `3 d 4 h`, `12 min`, `40 s`. At most two parts, and no seconds next to minutes. */
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
/** Formats a time as local date and time. */
export const formatTime = (at: string): string => clock.format(new Date(at))

/** Returns the time zone in use, e.g. `Europe/Berlin (GMT+1)`. */
export function timeZone(now = new Date()): string {
  const { timeZone: name } = clock.resolvedOptions()
  const parts = new Intl.DateTimeFormat('en-GB', { timeZoneName: 'shortOffset' }).formatToParts(now)
  const offset = parts.find(({ type }) => type === 'timeZoneName')?.value
  return offset && offset !== name ? `${name} (${offset})` : name
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${formatCount(n)} ${n === 1 ? one : many}`
}

/** A title within a sentence: `Domains` → `domains`. An abbreviation keeps its capitals: `DKIM keys`. */
export function inSentence(title: string): string {
  return title.replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase())
}
