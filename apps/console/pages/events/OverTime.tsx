import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import { useMemo } from 'react'
import { call } from '../../api/client.ts'
import { type Counted, chartLines } from '../../log/chart-lines.ts'
import { countings, type EventsSearch } from '../../log/filters.ts'
import { countKey } from '../../log/log-search.ts'
import { type Interval, intervalsOf, narrowed, stepMinutesOf } from '../../log/range.ts'
import { formatCount, formatTime, inSentence, plural, timeZone } from '../../ui/format.ts'
import { Failure, Panel } from '../../ui/Page.tsx'
import { Chart, type Series } from '../overview/Chart.tsx'
import { stepText } from '../overview/periods.ts'
import { Swatch } from '../overview/Swatch.tsx'
import { CountNote, type CountsProps, countOnce, type Reach } from './count.tsx'
import { FilterLink } from './FilterLink.tsx'

/** Matching events over time: bars, or a line for each of the most frequent values of the column they are counted by. */
export function OverTime({ search, query, span, asOf }: CountsProps) {
  const navigate = useNavigate()
  const stepMinutes = stepMinutesOf(span, asOf)
  const asked = { ...query, ...span, stepMinutes, by: search.by }
  const found = useQuery({
    ...countOnce,
    queryKey: [...countKey, 'series', asked],
    queryFn: async ({ signal }) => {
      const answer = await call<Reach & { items: Counted[] }>({ path: '/v1/events/series', query: asked, signal })
      return { ...answer, by: asked.by }
    },
    placeholderData: keepPreviousData,
  })
  const { since, until } = span
  const intervals = useMemo(
    () => intervalsOf(found.data?.items ?? [], { since, until, now: asOf, stepMinutes }),
    [found.data, since, until, asOf, stepMinutes],
  )
  const lines = useMemo(
    () => (found.data?.by ? chartLines(found.data.items, intervals) : null),
    [found.data, intervals],
  )
  const total = intervals.reduce((sum, { count }) => sum + count, 0)
  const rangeOf = (from: number, to: number): EventsSearch => ({
    ...search,
    range: undefined,
    ...narrowed(span, from, to),
  })
  const step = stepMinutes * 60_000
  const counting = countings.find(({ by }) => by === found.data?.by)
  const what = counting ? `Events by ${inSentence(counting.label)}` : 'Events'
  return (
    <Panel
      title={`${what} over time`}
      aside={
        <span className="flex flex-wrap items-center gap-x-3">
          <CountNote text={plural(total, 'event')} found={found} />
          <Link
            to="/events"
            search={{ ...search, by: search.by ? undefined : 'type' }}
            className="text-accent text-sm hover:underline"
          >
            {search.by ? 'All in one' : 'By type'}
          </Link>
        </span>
      }
    >
      {found.error ? (
        <Failure error={found.error} onRetry={() => void found.refetch()} />
      ) : (
        <>
          {counting && lines && (
            <ul aria-label="Lines of the chart" className="mb-2 flex flex-wrap gap-x-5 gap-y-1 text-xs">
              {lines.map(({ value, color, look }) => (
                <li key={value} className="flex min-w-0 max-w-full items-center gap-1.5">
                  <Swatch color={color} look={look} />
                  <span className="truncate">
                    {value === null ? (
                      'all others'
                    ) : (
                      <FilterLink field={counting.filter} value={value} search={search} />
                    )}
                  </span>
                </li>
              ))}
            </ul>
          )}
          <Plot
            intervals={intervals}
            lines={lines}
            step={step}
            label={`${plural(total, 'event')} over time. The numbers are in the table below.`}
            onSelect={(from, to) => void navigate({ to: '/events', search: rangeOf(from, to) })}
          />
          <p className="mt-1 text-faint text-xs">
            {what} per {stepText(stepMinutes)}. Click the chart, or drag over a part of it, to search that time. Times:{' '}
            {timeZone()}.
          </p>
          <Numbers intervals={intervals} rangeOf={(at) => rangeOf(at, at + step)} />
        </>
      )}
    </Panel>
  )
}

type PlotProps = {
  intervals: readonly Interval[]
  lines: readonly Series[] | null
  step: number
  label: string
  onSelect: (from: number, to: number) => void
}

function Plot({ intervals, lines, step, label, onSelect }: PlotProps) {
  const times = useMemo(() => intervals.map(({ at }) => at), [intervals])
  const series = useMemo(
    (): readonly Series[] =>
      lines ?? [{ label: 'events', color: 'accent', look: 'bars', values: intervals.map(({ count }) => count) }],
    [intervals, lines],
  )
  return <Chart label={label} times={times} series={series} select={{ step, onSelect }} />
}

/** The chart's numbers. Each interval is a link, for the keyboard. */
function Numbers({ intervals, rangeOf }: { intervals: readonly Interval[]; rangeOf: (at: number) => EventsSearch }) {
  const rows = intervals.filter(({ count }) => count > 0).reverse()
  return (
    <details className="mt-1 text-xs">
      <summary className="w-fit text-soft hover:text-ink">The numbers as a table</summary>
      {rows.length === 0 ? (
        <p className="mt-2 text-soft">No events.</p>
      ) : (
        <section aria-label="Events over time" className="mt-2 max-h-64 overflow-auto rounded border border-line">
          <table className="w-full">
            <caption className="sr-only">Events over time</caption>
            <thead className="sticky top-0 bg-sunken text-soft">
              <tr>
                <th scope="col" className="px-2 py-1 text-left font-medium">
                  From
                </th>
                <th scope="col" className="px-2 py-1 text-right font-medium">
                  events
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map(({ at, count }) => (
                <tr key={at} className="border-line border-t">
                  <th scope="row" className="whitespace-nowrap px-2 py-1 text-left font-normal">
                    <Link to="/events" search={rangeOf(at)} className="text-accent hover:underline">
                      {formatTime(new Date(at).toISOString()).slice(0, -3)}
                    </Link>
                  </th>
                  <td className="px-2 py-1 text-right">{formatCount(count)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </details>
  )
}
