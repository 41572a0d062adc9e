import type { Series } from './Chart.tsx'

const strokes = {
  info: 'border-info',
  accent: 'border-accent',
  danger: 'border-danger',
  warn: 'border-warn',
  faint: 'border-faint',
}
const borders = {
  area: 'border-t-6',
  line: 'border-t-2',
  dashes: 'border-t-2 border-dashed',
  dots: 'border-t-2 border-dotted',
}

type Props = { color: Series['color']; look: Exclude<Series['look'], 'bars'> }

/** A piece of a chart's line, for its legend. */
export function Swatch({ color, look }: Props) {
  return <span aria-hidden="true" className={`w-4 shrink-0 ${borders[look]} ${strokes[color]}`} />
}
