import { figure } from '../figures.ts'

/** Line charts over the same time, one below the other, as SVG. */

export type Line = { name: string; values: readonly (readonly [seconds: number, value: number])[] }
export type Chart = { title: string; unit: string; lines: readonly Line[] }

const width = 960
const plot = { left: 70, right: 720, height: 110, gap: 52, top: 64 }
/** Okabe and Ito: told apart by colour-blind people, too. */
const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9']

export function chartsAsSvg(title: string, charts: readonly Chart[]): string {
  const end = Math.max(1, ...charts.flatMap(({ lines }) => lines.flatMap(({ values }) => values.map(([at]) => at))))
  const height = plot.top + charts.length * (plot.height + plot.gap)
  const body = charts.map((chart, n) => chartAt(chart, plot.top + n * (plot.height + plot.gap), end))
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#fff"/>
${text(plot.left, 24, title, 'font-size="15" font-weight="bold"')}
${body.join('\n')}
</svg>
`
}

function chartAt({ title, unit, lines }: Chart, top: number, end: number): string {
  const most = niceTop(
    Math.max(0, ...lines.flatMap(({ values }) => values.map(([, value]) => value).filter(Number.isFinite))),
  )
  const bottom = top + plot.height
  const x = (seconds: number) => plot.left + (seconds / end) * (plot.right - plot.left)
  const y = (value: number) => bottom - (value / most) * plot.height
  const grid = [0, 0.5, 1].map((part) => {
    const at = y(part * most)
    return `<path d="M${plot.left} ${at}H${plot.right}" stroke="#ddd"/>${text(plot.left - 6, at + 4, figure(part * most), 'text-anchor="end" fill="#555"')}`
  })
  const minutes = [0, 0.25, 0.5, 0.75, 1].map((part) =>
    text(x(part * end), bottom + 16, `${figure((part * end) / 60)} min`, 'text-anchor="middle" fill="#555"'),
  )
  const drawn = lines.map(({ name, values }, n) => {
    const points = values.filter(([, value]) => Number.isFinite(value))
    const path = points.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(' ')
    const last = points.at(-1)?.[1] ?? Number.NaN
    const label = text(plot.right + 14, top + 12 + n * 18, `${name}: ${figure(last)} ${unit}`, `fill="${colours[n]}"`)
    return `<polyline points="${path}" fill="none" stroke="${colours[n]}" stroke-width="1.5"/>${label}`
  })
  const head = text(plot.left, top - 10, unit ? `${title} (${unit})` : title, 'font-weight="bold"')
  return [head, ...grid, ...minutes, ...drawn].join('\n')
}

/** The next round figure, for the top of the axis. */
function niceTop(most: number): number {
  if (!(most > 0)) return 1
  const power = 10 ** Math.floor(Math.log10(most))
  const step = [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10].find((candidate) => candidate * power >= most) ?? 10
  return step * power
}

function text(x: number, y: number, content: string, attributes: string): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${escaped}</text>`
}
