import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import { useMemo, useState } from 'react'
import { call, type Query } from '../../api/client.ts'
import { type Counting, countings, type EventsSearch } from '../../log/filters.ts'
import { type Interval, intervalsOf, narrowed, type Span, stepMinutesOf } from '../../log/range.ts'
import { Button } from '../../ui/Button.tsx'
import { Select } from '../../ui/Controls.tsx'
import { formatCount, formatTime, plural, timeZone } from '../../ui/format.ts'
import { Failure, Panel } from '../../ui/Page.tsx'
import { useNarrow } from '../../ui/use-narrow.ts'
import { Chart } from '../overview/Chart.tsx'
import { stepText } from '../overview/periods.ts'
import { FilterLink } from './FilterLink.tsx'

type Props = { search: EventsSearch; query: Query; span: Span; asOf: number }
type Reach = { searchedBackTo: string; complete: boolean }

/** Matching events over time, and by the values of a column. Not counted while hidden. */
export function Counts(props: Props) {
  const narrow = useNarrow()
  const [shown, setShown] = useState(!narrow)
  if (!shown)
    return (
      <Button className="self-start" aria-expanded={false} onClick={() => setShown(true)}>
        Show the chart
      </Button>
    )
  return (
    <div className="grid grid-cols-1 gap-5 xl:grid-cols-[3fr_2fr]">
      <OverTime {...props} />
      <Top {...props} />
    </div>
  )
}

const oneSearch = {
  staleTime: Number.POSITIVE_INFINITY,
  gcTime: 60_000,
  retry: false,
  placeholderData: keepPreviousData,
}

function OverTime({ search, query, span, asOf }: Props) {
  const navigate = useNavigate()
  const stepMinutes = stepMinutesOf(span, asOf)
  const asked = { ...query, ...span, stepMinutes }
  const found = useQuery({
    ...oneSearch,
    queryKey: ['events', 'series', asked],
    queryFn: ({ signal }) =>
      call<Reach & { items: { at: string; count: number }[] }>({ path: '/v1/events/series', query: asked, signal }),
  })
  const { since, until } = span
  const intervals = useMemo(
    () => intervalsOf(found.data?.items ?? [], { since, until, now: asOf, stepMinutes }),
    [found.data, since, until, asOf, stepMinutes],
  )
  const total = intervals.reduce((sum, { count }) => sum + count, 0)
  const rangeOf = (from: number, to: number): EventsSearch => ({
    ...search,
    range: undefined,
    ...narrowed(span, from, to),
  })
  const step = stepMinutes * 60_000
  return (
    <Panel title="Over time" aside={<CountNote text={plural(total, 'event')} reach={found.data} />}>
      {found.error ? (
        <Failure error={found.error} onRetry={() => void found.refetch()} />
      ) : (
        <>
          <Bars
            intervals={intervals}
            step={step}
            label={`${plural(total, 'event')} over time. The numbers are in the table below.`}
            onSelect={(from, to) => void navigate({ to: '/events', search: rangeOf(from, to) })}
          />
          <p className="mt-1 text-faint text-xs">
            Events per {stepText(stepMinutes)}. Click a bar, or drag over several, to search that time. Times:{' '}
            {timeZone()}.
          </p>
          <Numbers intervals={intervals} rangeOf={(at) => rangeOf(at, at + step)} />
        </>
      )}
    </Panel>
  )
}

type BarsProps = {
  intervals: readonly Interval[]
  step: number
  label: string
  onSelect: (from: number, to: number) => void
}

function Bars({ intervals, step, label, onSelect }: BarsProps) {
  const times = useMemo(() => intervals.map(({ at }) => at), [intervals])
  const series = useMemo(
    () => [{ label: 'events', color: 'accent', look: 'bars', values: intervals.map(({ count }) => count) } as const],
    [intervals],
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

/** How much was counted, and how far back if the time for it ran out. */
function CountNote({ text, reach }: { text: string; reach: Reach | undefined }) {
  if (!reach) return <span className="text-faint text-sm">Counting …</span>
  return (
    <span className={`text-sm ${reach.complete ? 'text-soft' : 'text-warn'}`}>
      {text} {!reach.complete && `counted back to ${formatTime(reach.searchedBackTo)}`}
    </span>
  )
}

const mostValues = 20

function Top({ search, query, span }: Props) {
  const navigate = useNavigate()
  const by = search.by ?? 'type'
  const counting = countings.find((one) => one.by === by) ?? countings[0]
  const asked = { ...query, ...span, by, limit: mostValues }
  const found = useQuery({
    ...oneSearch,
    queryKey: ['events', 'top', asked],
    queryFn: ({ signal }) =>
      call<Reach & { items: { value: string | number; count: number }[] }>({
        path: '/v1/events/top',
        query: asked,
        signal,
      }),
    // The values of another column must not stand under this one's name.
    placeholderData: undefined,
  })
  const items = found.data?.items ?? []
  const most = items[0]?.count ?? 1
  const choose = (value: string) =>
    void navigate({ to: '/events', search: { ...search, by: value === 'type' ? undefined : (value as Counting) } })
  return (
    <Panel
      title="Most frequent"
      aside={
        <span className="flex flex-wrap items-center gap-3">
          {found.data && !found.data.complete && <CountNote text="" reach={found.data} />}
          <Select aria-label="Count by" value={by} onChange={(event) => choose(event.target.value)}>
            {countings.map((one) => (
              <option key={one.by} value={one.by}>
                {one.label}
              </option>
            ))}
          </Select>
        </span>
      }
    >
      {found.error ? <Failure error={found.error} onRetry={() => void found.refetch()} /> : null}
      {found.data && items.length === 0 && (
        <p className="text-soft text-sm">No matching event has a value in this column.</p>
      )}
      <ol aria-label="Most frequent values" className="max-h-52 overflow-y-auto">
        {items.map(({ value, count }) => (
          <li key={value} className="relative flex items-center justify-between gap-4 px-2 py-1 text-sm">
            <span
              aria-hidden="true"
              className="absolute inset-y-0.5 left-0 rounded bg-accent-soft"
              style={{ width: `${(100 * count) / most}%` }}
            />
            <span className="relative min-w-0 truncate">
              <FilterLink field={counting.filter} value={value} search={search} />
            </span>
            <span className="relative">{formatCount(count)}</span>
          </li>
        ))}
      </ol>
    </Panel>
  )
}
