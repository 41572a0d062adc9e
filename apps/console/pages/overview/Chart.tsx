import { useEffect, useRef } from 'react'
import UPlot from 'uplot'
import { useColorScheme } from '../../shell/color-scheme.ts'

export type Series = {
  label: string
  color: 'accent' | 'danger' | 'warn' | 'info' | 'faint'
  /** In addition to the colour, for people who cannot distinguish colours. */
  look: 'area' | 'line' | 'dashes' | 'dots' | 'bars'
  values: number[]
}
type Props = {
  label: string
  times: number[]
  series: readonly Series[]
  /** The last interval has not ended. */
  counting?: boolean
  /** Lets the user choose an interval with a click, or several by dragging. */
  select?: Selection
}
/** In milliseconds: the width of an interval, and the beginning and the end of what was chosen. */
type Selection = { step: number; onSelect: (from: number, to: number) => void }

const height = 160
const widths = { area: 1, line: 1.75, dashes: 1.75, dots: 1.75, bars: 0 }
const dashes = { area: [], line: [], dashes: [6, 4], dots: [2, 3], bars: [] }

/**
 * Counts over time, in the colours of the colour scheme. The same numbers are shown beside it as text. An interval that
 * has not ended is a dot, because a line to it would look like a drop in traffic.
 */
export function Chart({ label, times, series, counting = false, select }: Props) {
  const selection = useRef(select)
  selection.current = select
  const place = useRef<HTMLDivElement>(null)
  const scheme = useColorScheme()
  // biome-ignore lint/correctness/useExhaustiveDependencies: a change of scheme needs other colours on the canvas
  useEffect(() => {
    const element = place.current
    if (!element) return
    const draw = () => new UPlot(optionsFor(element, series, selection), dataOf({ times, series, counting }), element)
    let plot = draw()
    const redraw = () => {
      plot.destroy()
      plot = draw()
    }
    const resized = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height }))
    const system = matchMedia('(prefers-color-scheme: dark)')
    resized.observe(element)
    system.addEventListener('change', redraw)
    return () => {
      resized.disconnect()
      system.removeEventListener('change', redraw)
      plot.destroy()
    }
  }, [times, series, counting, scheme])
  return <div ref={place} role="img" aria-label={label} className="h-[160px] w-full overflow-hidden" />
}

/** Returns each series twice: the line of completed intervals, and the dot of the current one. */
function dataOf({ times, series, counting }: Omit<Props, 'label'>): UPlot.AlignedData {
  const last = counting ? times.length - 1 : times.length
  const lines = series.map(({ values }) => values.map((value, i) => (i === last ? null : value)))
  const ends = series.map(({ values }) => values.map((value, i) => (i === last ? value : null)))
  return [times.map((t) => t / 1000), ...lines, ...ends]
}

type Current<T> = { readonly current: T }

function optionsFor(
  element: HTMLElement,
  series: readonly Series[],
  selection: Current<Selection | undefined>,
): UPlot.Options {
  const style = getComputedStyle(element)
  const color = (name: string) => style.getPropertyValue(`--${name}`) && resolved(element, `var(--${name})`)
  const axis = {
    stroke: color('faint'),
    grid: { stroke: color('line'), width: 1 },
    ticks: { show: false },
    font: `11px ${style.fontFamily}`,
  }
  return {
    width: element.clientWidth,
    height,
    padding: [8, 18, 0, 0],
    ...(selection.current ? selecting(selection) : { cursor: { show: false } }),
    legend: { show: false },
    scales: {
      x: xScale(selection.current?.step ?? 0),
      y: { range: (_, _min, max) => [0, Math.max(4, Math.ceil(max * 1.1))] },
    },
    axes: [
      { ...axis, size: 24, space: 60, values: (_, ticks) => ticks.map((t, i) => tickText(t, ticks[i - 1])) },
      { ...axis, size: 44, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6] },
    ],
    series: [
      {},
      ...series.map((one) => ({
        label: one.label,
        stroke: color(one.color),
        width: widths[one.look],
        dash: dashes[one.look],
        ...(one.look === 'area' ? { fill: `color-mix(in srgb, ${color(one.color)} 16%, transparent)` } : {}),
        ...(one.look === 'bars' ? { fill: color(one.color), paths: bars } : {}),
        points: { show: false },
      })),
      ...series.map((one) => ({
        label: `${one.label} so far`,
        stroke: color(one.color),
        width: 0,
        points: { show: true, size: 5, fill: color(one.color), width: 0 },
      })),
    ],
  }
}

const bars = UPlot.paths.bars?.({ size: [0.85, 60], align: 1 })

/** A bar begins at the time of its interval, so the last one needs room on its right. */
const xScale = (step: number): UPlot.Scale => (step === 0 ? {} : { range: (_, min, max) => [min, max + step / 1000] })

/** The handlers read the selection late: the chart is not drawn again for another one. */
function selecting(selection: Current<Selection | undefined>): Pick<UPlot.Options, 'cursor' | 'hooks'> {
  const choose = (from: number, to: number) => {
    const { step, onSelect } = selection.current ?? {}
    if (step && onSelect) onSelect(Math.floor(from / step) * step, Math.max(1, Math.ceil(to / step)) * step)
  }
  return {
    cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
    hooks: {
      init: [
        (plot) =>
          plot.over.addEventListener('click', (event) => {
            const at = plot.posToVal(event.offsetX, 'x') * 1000
            choose(at, at + 1)
          }),
      ],
      setSelect: [
        ({ select: { left, width }, posToVal }) => {
          if (width > 0) choose(posToVal(left, 'x') * 1000, posToVal(left + width, 'x') * 1000)
        },
      ],
    },
  }
}

/** Formats a tick as the hour. The first tick of a day, and ticks that are whole days, show the day. */
function tickText(seconds: number, before: number | undefined): string {
  const at = new Date(seconds * 1000)
  const newDay = before !== undefined && new Date(before * 1000).getDate() !== at.getDate()
  if (newDay || (at.getHours() === 0 && at.getMinutes() === 0)) return day.format(at)
  return at.toTimeString().slice(0, 5)
}

const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' })

/** Resolves a colour for the canvas, which does not support `light-dark()`. */
function resolved(element: HTMLElement, value: string): string {
  const probe = document.createElement('span')
  probe.style.color = value
  element.append(probe)
  const { color } = getComputedStyle(probe)
  probe.remove()
  return color
}
