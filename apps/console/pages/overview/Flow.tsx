import type { Books } from '@postern/contract/views.ts'
import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { call } from '../../api/client.ts'
import { formatCount } from '../../ui/format.ts'
import { Loaded, Loading, Panel } from '../../ui/Page.tsx'
import { Chart, type Series } from './Chart.tsx'

type Point = { at: string } & Record<
  'received' | 'delivered' | 'bounced' | 'discarded' | 'refused' | 'loginFailures',
  number
>

const stepMinutes = 30
const statsQuery = {
  queryKey: ['stats', stepMinutes],
  queryFn: () => call<{ points: Point[] }>({ path: '/v1/stats', query: { stepMinutes } }),
  refetchInterval: 30_000,
}

type Line = { key: keyof Omit<Point, 'at'>; label: string; color: Series['color'] }

const flow: readonly Line[] = [
  { key: 'received', label: 'received', color: 'info' },
  { key: 'delivered', label: 'delivered', color: 'accent' },
  { key: 'bounced', label: 'bounced', color: 'danger' },
  { key: 'discarded', label: 'discarded', color: 'warn' },
]
const refusals: readonly Line[] = [
  { key: 'refused', label: 'refused', color: 'warn' },
  { key: 'loginFailures', label: 'failed logins', color: 'danger' },
]

/** The books: what came in must be somewhere. Counts are recipients. */
export function FlowPanel({ books }: { books: Books | undefined }) {
  return (
    <Panel title="Mail, last 24 hours" aside={books && <BalanceNote books={books} />}>
      <StatsChart lines={flow} />
      {books ? (
        <p className="mt-3 text-soft text-xs">
          Since the beginning: {formatCount(books.total.received)} received = {formatCount(books.total.delivered)}{' '}
          delivered + {formatCount(books.total.bounced)} bounced + {formatCount(books.total.discarded)} discarded +{' '}
          {formatCount(books.total.queued)} queued
        </p>
      ) : (
        <p className="mt-3 text-xs">&nbsp;</p>
      )}
    </Panel>
  )
}

function BalanceNote({ books: { total, eventsUnsent } }: { books: Books }) {
  if (eventsUnsent > 0)
    return <span className="text-soft text-sm">{formatCount(eventsUnsent)} events on their way</span>
  return (
    <span className={`text-sm ${total.balance === 0 ? 'text-soft' : 'text-danger'}`}>
      {total.balance === 0 ? 'The books balance' : `Off by ${total.balance}`}
    </span>
  )
}

export function RefusedPanel() {
  return (
    <Panel title="Refused, last 24 hours">
      <StatsChart lines={refusals} />
      <p className="mt-3 text-soft text-xs">Refused connections, commands and messages; each says why in the events.</p>
    </Panel>
  )
}

const dots = { info: 'bg-info', accent: 'bg-accent', danger: 'bg-danger', warn: 'bg-warn' }

function StatsChart({ lines }: { lines: readonly Line[] }) {
  const query = useQuery(statsQuery)
  return (
    <div className="min-h-[13rem]">
      <Loaded query={query} rows={5}>
        {({ points }) => <Lines points={points} lines={lines} />}
      </Loaded>
    </div>
  )
}

function Lines({ points, lines }: { points: Point[]; lines: readonly Line[] }) {
  const times = useMemo(() => points.map(({ at }) => Date.parse(at)), [points])
  const series = useMemo(
    () => lines.map(({ key, label, color }) => ({ label, color, values: points.map((point) => point[key]) })),
    [points, lines],
  )
  if (points.length === 0) return <Loading rows={5} />
  const sums = series.map(({ label, color, values }) => ({ label, color, sum: values.reduce((a, b) => a + b, 0) }))
  return (
    <>
      <dl className="mb-3 flex flex-wrap gap-x-8 gap-y-2">
        {sums.map(({ label, color, sum }) => (
          <div key={label} className="flex flex-col-reverse">
            <dt className="flex items-center gap-1.5 text-faint text-xs">
              <span aria-hidden="true" className={`h-0.5 w-3 ${dots[color]}`} />
              {label}
            </dt>
            <dd className="font-semibold text-lg leading-6">{formatCount(sum)}</dd>
          </div>
        ))}
      </dl>
      <Chart label={sums.map(({ label, sum }) => `${label} ${sum}`).join(', ')} times={times} series={series} />
    </>
  )
}
