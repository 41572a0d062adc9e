import type { Books } from '@postern/contract/views.ts'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import clsx from 'clsx'
import { Fragment, useMemo } from 'react'
import { call } from '../../api/client.ts'
import { formatCount, formatTime, timeZone } from '../../ui/format.ts'
import { Loaded, Panel } from '../../ui/Page.tsx'
import { Chart, type Series } from './Chart.tsx'
import { type PeriodName, periods, stepText } from './periods.ts'
import { Swatch } from './Swatch.tsx'

type Count = 'received' | 'delivered' | 'deferred' | 'bounced' | 'discarded' | 'refused' | 'loginFailures'
type Point = { at: string } & Record<Count, number>
type Line = { key: Count; label: string; color: Series['color']; look: Exclude<Series['look'], 'bars'> }

const flow: readonly Line[] = [
  { key: 'received', label: 'received', color: 'info', look: 'area' },
  { key: 'delivered', label: 'delivered', color: 'accent', look: 'line' },
  { key: 'deferred', label: 'deferred', color: 'warn', look: 'dashes' },
  { key: 'bounced', label: 'bounced', color: 'danger', look: 'line' },
  { key: 'discarded', label: 'discarded', color: 'faint', look: 'dots' },
]
const refusals: readonly Line[] = [
  { key: 'refused', label: 'refused', color: 'warn', look: 'area' },
  { key: 'loginFailures', label: 'failed logins', color: 'danger', look: 'line' },
]

const refusalTypes = 'session.refused,command.refused,message.refused'

/** The mail, or the events, that a number counts. */
const behind: Record<Count, { to: '/messages' | '/events'; search: object }> = {
  received: { to: '/messages', search: {} },
  delivered: { to: '/messages', search: { outcome: 'delivered' } },
  deferred: { to: '/events', search: { type: 'delivery.deferred' } },
  bounced: { to: '/messages', search: { outcome: 'bounced' } },
  discarded: { to: '/messages', search: { outcome: 'discarded' } },
  refused: { to: '/events', search: { type: refusalTypes } },
  loginFailures: { to: '/events', search: { type: 'auth.failed' } },
}

/** The books: everything received must be accounted for. Counts are recipients. */
export function FlowPanel({ books, span }: { books: Books | undefined; span: PeriodName }) {
  return (
    <Panel title={`Mail, ${periods[span].title}`} aside={books && <BalanceNote books={books} />}>
      <StatsChart lines={flow} span={span} unit="Recipients" title="Mail" />
      <div className="mt-4 min-h-12">{books && <BooksBar total={books.total} />}</div>
    </Panel>
  )
}

function BalanceNote({ books: { total } }: { books: Books }) {
  return (
    <span className={`text-sm ${total.balance === 0 ? 'text-soft' : 'text-danger'}`}>
      {total.balance === 0 ? 'The books balance' : `The books are off by ${total.balance}`}
    </span>
  )
}

const parts = [
  { key: 'delivered', color: 'bg-accent' },
  { key: 'bounced', color: 'bg-danger' },
  { key: 'discarded', color: 'bg-faint' },
  { key: 'queued', color: 'bg-warn' },
] as const

/** Shows the current state of everything ever received, as parts of one bar and as a sum in words. */
function BooksBar({ total }: { total: Books['total'] }) {
  return (
    <>
      <div aria-hidden="true" className="flex h-2 gap-px overflow-hidden rounded-full bg-sunken">
        {parts.map(
          ({ key, color }) =>
            total[key] > 0 && (
              <span key={key} className={clsx('min-w-1', color)} style={{ flexGrow: total[key], flexBasis: 0 }} />
            ),
        )}
      </div>
      <p className="mt-2 text-soft text-xs">
        In total: {formatCount(total.received)} received ={' '}
        {parts.map(({ key, color }, i) => (
          <Fragment key={key}>
            {i > 0 && ' + '}
            <span className="whitespace-nowrap">
              <span aria-hidden="true" className={`mr-1 inline-block size-2 rounded-sm ${color}`} />
              {formatCount(total[key])} {key}
            </span>
          </Fragment>
        ))}
      </p>
    </>
  )
}

const refusedBy = [
  { by: 'rule', label: 'rule' },
  { by: 'reason', label: 'reason' },
  { by: 'domain', label: 'recipient domain' },
  { by: 'client_ip', label: 'client' },
] as const

export function RefusedPanel({ span }: { span: PeriodName }) {
  return (
    <Panel title={`Refused, ${periods[span].title}`}>
      <StatsChart lines={refusals} span={span} unit="Refusals" title="Refused" />
      <p className="mt-4 text-soft text-xs">
        Refused connections, commands and messages. Count them by{' '}
        {refusedBy.map(({ by, label }, i) => (
          <Fragment key={by}>
            {i > 0 && ', '}
            <Link
              to="/events"
              search={{ type: refusalTypes, range: span, by }}
              className="whitespace-nowrap text-accent underline"
            >
              {label}
            </Link>
          </Fragment>
        ))}
        .
      </p>
    </Panel>
  )
}

/** The counts of a period, which its charts and the findings share. */
export const statsQuery = (span: PeriodName) => ({
  queryKey: ['stats', span],
  queryFn: () =>
    call<{ points: Point[] }>({
      path: '/v1/stats',
      query: {
        stepMinutes: periods[span].stepMinutes,
        since: new Date(Date.now() - periods[span].hours * 3_600_000).toISOString(),
      },
    }),
  refetchInterval: span === 'hour' ? 5_000 : 30_000,
})

type StatsProps = { lines: readonly Line[]; span: PeriodName; unit: string; title: string }

function StatsChart({ lines, span, unit, title }: StatsProps) {
  const { stepMinutes } = periods[span]
  const query = useQuery({ ...statsQuery(span), placeholderData: keepPreviousData })
  return (
    <div className="min-h-[17rem]">
      <Loaded query={query} rows={6}>
        {({ points }) => (
          <>
            <Lines points={points} lines={lines} span={span} />
            <p className="mt-1 text-faint text-xs">
              {unit} per {stepText(stepMinutes)}; dots mark intervals that have not ended. Times: {timeZone()}.
            </p>
            <Numbers
              points={points}
              lines={lines}
              caption={`${title}, ${periods[span].title}, per ${stepText(stepMinutes)}`}
            />
          </>
        )}
      </Loaded>
    </div>
  )
}

type LinesProps = { points: Point[]; lines: readonly Line[]; span: PeriodName }

function Lines({ points, lines, span }: LinesProps) {
  const times = useMemo(() => points.map(({ at }) => Date.parse(at)), [points])
  const series = useMemo(
    () => lines.map((line) => ({ ...line, values: points.map((point) => point[line.key]) })),
    [points, lines],
  )
  const sums = series.map((one) => ({ ...one, sum: one.values.reduce((a, b) => a + b, 0) }))
  return (
    <>
      <dl className="mb-3 flex flex-wrap gap-x-7 gap-y-2">
        {sums.map(({ key, label, color, look, sum }) => (
          <div key={label} className="flex flex-col-reverse">
            <dt className="flex items-center gap-1.5 text-faint text-xs">
              <Swatch color={color} look={look} />
              {label}
            </dt>
            <dd className="font-semibold text-lg leading-6">
              <Link
                to={behind[key].to}
                search={{ ...behind[key].search, range: span }}
                aria-label={`${formatCount(sum)} ${label}`}
                className="hover:underline"
              >
                {formatCount(sum)}
              </Link>
            </dd>
          </div>
        ))}
      </dl>
      <Chart
        label={`${sums.map(({ label, sum }) => `${formatCount(sum)} ${label}`).join(', ')}. The numbers are in the table below.`}
        times={times}
        series={series}
        counting
      />
    </>
  )
}

/** The chart's data as text, to be read, heard or copied. Intervals without events are left out. */
function Numbers({ points, lines, caption }: { points: Point[]; lines: readonly Line[]; caption: string }) {
  const rows = points.filter((point) => lines.some(({ key }) => point[key] > 0)).reverse()
  return (
    <details className="mt-1 text-xs">
      <summary className="w-fit text-soft hover:text-ink">The numbers as a table</summary>
      {rows.length === 0 ? (
        <p className="mt-2 text-soft">No mail in this period.</p>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached with the keyboard
        <section tabIndex={0} aria-label={caption} className="mt-2 max-h-64 overflow-auto rounded border border-line">
          <table className="w-full text-right">
            <caption className="sr-only">{caption}</caption>
            <thead className="sticky top-0 bg-sunken text-soft">
              <tr>
                <th scope="col" className="px-2 py-1 text-left font-medium">
                  From
                </th>
                {lines.map(({ key, label }) => (
                  <th key={key} scope="col" className="px-2 py-1 font-medium">
                    {label}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((point) => (
                <tr key={point.at} className="border-line border-t">
                  <th scope="row" className="whitespace-nowrap px-2 py-1 text-left font-normal">
                    {formatTime(point.at).slice(0, -3)}
                  </th>
                  {lines.map(({ key }) => (
                    <td key={key} className={clsx('px-2 py-1', point[key] === 0 && 'text-faint')}>
                      {formatCount(point[key])}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </details>
  )
}
