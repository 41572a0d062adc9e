import type { Histogram } from 'node:perf_hooks'

/** Medians, quantiles and tables for reports. */

/** The value below which this part (0…1) of the samples lies; NaN of none. */
export function quantile(samples: number[], part: number): number {
  if (samples.length === 0) return Number.NaN
  const sorted = samples.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] as number
}

/** The same of a histogram of microseconds, in milliseconds. */
export function quantileMs(histogram: Histogram, part: number): number {
  return histogram.count === 0 ? Number.NaN : histogram.percentile(part * 100) / 1000
}

export function median(samples: number[]): number {
  return quantile(samples, 0.5)
}

/** Formats with three significant digits and grouped thousands: `12 300`, `1.25`. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '–'
  if (value >= 1000) return Math.round(value).toLocaleString('en').replaceAll(',', ' ')
  return String(Number(value.toPrecision(3)))
}

export function times(ratio: number): string {
  return Number.isFinite(ratio) ? `${ratio.toPrecision(ratio < 10 ? 2 : 3)} ×` : '–'
}

/** Returns a Markdown table with aligned columns. The first column is left-aligned. */
export function table(head: string[], rows: string[][]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)))
  const cell = (text: string, column: number) =>
    column === 0 ? text.padEnd(widths[column] as number) : text.padStart(widths[column] as number)
  const line = (cells: string[]) => `| ${cells.map(cell).join(' | ')} |`
  const rule = `| ${widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`
  return [line(head), rule, ...rows.map(line)].join('\n')
}
