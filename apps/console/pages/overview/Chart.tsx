import { useEffect, useRef } from 'react'
import UPlot from 'uplot'
import { useScheme } from '../../shell/scheme.ts'

export type Series = { label: string; color: 'accent' | 'danger' | 'warn' | 'info'; values: number[] }
type Props = { label: string; times: number[]; series: readonly Series[] }

const height = 140

/** A small chart of counts over time, in the colours of the scheme. Its numbers stand beside it as text. */
export function Chart({ label, times, series }: Props) {
  const place = useRef<HTMLDivElement>(null)
  const scheme = useScheme()
  // biome-ignore lint/correctness/useExhaustiveDependencies: a change of scheme needs other colours on the canvas
  useEffect(() => {
    const element = place.current
    if (!element) return
    const draw = () =>
      new UPlot(optionsFor(element, series), [times.map((t) => t / 1000), ...series.map((s) => s.values)], element)
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
  }, [times, series, scheme])
  return <div ref={place} role="img" aria-label={label} className="h-[140px] w-full overflow-hidden" />
}

function optionsFor(element: HTMLElement, series: readonly Series[]): UPlot.Options {
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
    cursor: { show: false },
    legend: { show: false },
    scales: { y: { range: (_, _min, max) => [0, Math.max(4, Math.ceil(max * 1.1))] } },
    axes: [
      { ...axis, size: 24, values: (_, ticks) => ticks.map((t) => new Date(t * 1000).toTimeString().slice(0, 5)) },
      { ...axis, size: 40, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6] },
    ],
    series: [
      {},
      ...series.map((one) => ({ label: one.label, stroke: color(one.color), width: 1.5, points: { show: false } })),
    ],
  }
}

/** The canvas does not know `light-dark()`; the browser says what it is now. */
function resolved(element: HTMLElement, value: string): string {
  const probe = document.createElement('span')
  probe.style.color = value
  element.append(probe)
  const { color } = getComputedStyle(probe)
  probe.remove()
  return color
}
