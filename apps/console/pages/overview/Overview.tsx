import type { ServiceName } from '@postern/contract/services.ts'
import type { SettingGroup } from '@postern/contract/settings.ts'
import type { Books, ListEntryView } from '@postern/contract/views.ts'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { CircleAlert, CircleCheck, Info, TriangleAlert } from 'lucide-react'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import { all, servicesQuery, workersQuery } from '../../api/queries.ts'
import { StateBadge } from '../../ui/Badge.tsx'
import { Select } from '../../ui/Controls.tsx'
import { formatCount, plural } from '../../ui/format.ts'
import { Failure, Loading, Page, Panel } from '../../ui/Page.tsx'
import { Ago, useNow } from '../../ui/Time.tsx'
import { type CertificateView, certificatesPath } from '../directory/types.ts'
import { doctorQuery, type QueueSummary, queueSummaryQuery } from '../queue/queries.ts'
import { FlowPanel, RefusedPanel, statsQuery } from './Flow.tsx'
import type { Finding } from './finding.ts'
import { findingsOf } from './findings.ts'
import { type PeriodName, periodNames, periods } from './periods.ts'

export function Overview() {
  const now = useNow(5000)
  const services = useQuery(servicesQuery)
  const workers = useQuery(workersQuery())
  const queue = useQuery(queueSummaryQuery)
  const books = useQuery({
    queryKey: ['books'],
    queryFn: () => call<Books>({ path: '/v1/books' }),
    refetchInterval: 10_000,
  })
  const settings = useQuery({
    queryKey: ['settings'],
    queryFn: () => call<{ settings: Partial<Record<SettingGroup, Record<string, unknown>>> }>({ path: '/v1/settings' }),
    refetchInterval: 30_000,
  })
  const certificates = useQuery({
    queryKey: ['certificates', 'all'],
    queryFn: () => all<CertificateView>(certificatesPath),
    refetchInterval: 60_000,
  })
  const relay = useQuery({
    queryKey: ['lists', 'relay', 'all'],
    queryFn: () => all<ListEntryView>('/v1/lists/relay'),
    refetchInterval: 60_000,
  })
  const waiting = useQuery(doctorQuery)
  const traffic = useQuery(statsQuery('day'))
  const domains = useQuery({
    queryKey: ['domains', 'first'],
    queryFn: () => call<{ items: unknown[] }>({ path: '/v1/domains', query: { limit: 1 } }),
    refetchInterval: 30_000,
  })
  const findings = findingsOf({
    now,
    services: services.data,
    workers: workers.data,
    queue: queue.data,
    books: books.data,
    settings: settings.data?.settings,
    certificates: certificates.data,
    relay: relay.data?.map(({ value }) => value),
    waiting: waiting.data?.items,
    traffic: traffic.data?.points,
    hasDomain: domains.data && domains.data.items.length > 0,
  })
  const asked = [services, workers, queue, books, settings, certificates, relay, waiting, traffic, domains]
  const unanswered = asked.find(({ error }) => error)
  // That nothing is wrong is only known when every answer has come.
  const isKnown = asked.every(({ data }) => data !== undefined)
  return (
    <Page title="Overview" help="The state of the server. Problems come first.">
      <div className="flex flex-col gap-5">
        {unanswered?.error && <Failure error={unanswered.error} onRetry={() => void unanswered.refetch()} />}
        {findings.length > 0 && <Findings findings={findings} />}
        {findings.length === 0 && isKnown && !unanswered && <AllIsWell />}
        {findings.length === 0 && !isKnown && !unanswered && (
          <Panel flush>
            <Loading rows={1} />
          </Panel>
        )}
        <div className="grid gap-5 md:grid-cols-2">
          <Panel title="Services" flush>
            {services.data ? (
              <ul className="divide-y divide-line">
                {services.data.map((service) => (
                  <li key={service.name} className="flex items-center justify-between gap-4 px-4 py-2.5 text-sm">
                    <Link to="/services/$name" params={{ name: service.name }} className="font-medium hover:underline">
                      {service.title}
                    </Link>
                    <span className="flex items-center gap-3">
                      <span className="text-soft">{workersLine(service.workers, ...busyWith[service.name])}</span>
                      <StateBadge state={service.observed} />
                    </span>
                  </li>
                ))}
              </ul>
            ) : (
              <Loading rows={2} />
            )}
          </Panel>
          <Panel
            title="Queue"
            flush
            aside={
              <Link to="/queue" className="text-accent text-sm hover:underline">
                Open
              </Link>
            }
          >
            {queue.data ? <QueueLine summary={queue.data} /> : <Loading rows={2} />}
          </Panel>
        </div>
        <Traffic books={books.data} />
      </div>
    </Page>
  )
}

/** Shows the traffic in two charts with the same time range. */
function Traffic({ books }: { books: Books | undefined }) {
  const [span, setSpan] = useState<PeriodName>('day')
  return (
    <section aria-label="Traffic">
      <div className="mb-3 flex items-center justify-end gap-2 text-sm">
        <label htmlFor="span" className="text-soft">
          Show the
        </label>
        <Select id="span" value={span} onChange={(event) => setSpan(event.target.value as PeriodName)}>
          {periodNames.map((name) => (
            <option key={name} value={name}>
              {periods[name].title}
            </option>
          ))}
        </Select>
      </div>
      <div className="grid grid-cols-1 gap-5 xl:grid-cols-2">
        <FlowPanel books={books} span={span} />
        <RefusedPanel span={span} />
      </div>
    </section>
  )
}

function workersLine(workers: readonly { live: boolean; sessions: number }[], noun: string, many: string): string {
  const live = workers.filter((worker) => worker.live)
  const sessions = live.reduce((sum, worker) => sum + worker.sessions, 0)
  return `${live.length} of ${workers.length} live · ${plural(sessions, noun, many)}`
}

/** What a worker of each service counts as its current work. */
const busyWith: Record<ServiceName, [string, string]> = {
  smtp: ['session', 'sessions'],
  queue: ['delivery', 'deliveries'],
}

const signs = { danger: CircleAlert, warn: TriangleAlert, info: Info }
const colors = { danger: 'text-danger', warn: 'text-warn', info: 'text-info' }

function AllIsWell() {
  return (
    <div className="flex items-center gap-3 rounded-lg border border-line bg-panel px-4 py-3.5">
      <CircleCheck aria-hidden="true" className="size-5 shrink-0 text-accent" />
      <p>
        <span className="font-medium">Everything is working.</span>{' '}
        <span className="text-soft">
          Mail is received and delivered, workers are up to date, and the books balance.
        </span>
      </p>
    </div>
  )
}

function Findings({ findings }: { findings: readonly Finding[] }) {
  return (
    <Panel title="Needs attention" flush>
      <ul className="divide-y divide-line">
        {findings.map((finding) => {
          const Sign = signs[finding.severity]
          return (
            <li key={`${finding.title} ${finding.to}`}>
              <Link to={finding.to} search={finding.search ?? {}} className="flex gap-3 px-4 py-3 hover:bg-sunken">
                <Sign aria-hidden="true" className={`mt-0.5 size-4.5 shrink-0 ${colors[finding.severity]}`} />
                <span className="min-w-0">
                  <span className={`font-medium ${colors[finding.severity]}`}>{finding.title}</span>
                  <span className="block break-words text-soft text-sm">{finding.detail}</span>
                </span>
              </Link>
            </li>
          )
        })}
      </ul>
    </Panel>
  )
}

function QueueLine({ summary }: { summary: QueueSummary }) {
  const { active = 0, deferred = 0, held = 0 } = summary.byState
  return (
    <div className="flex flex-wrap items-center gap-x-8 gap-y-2 px-4 py-3">
      <Figure name="waiting" value={summary.messages} />
      <Figure name="active" value={active} state="active" />
      <Figure name="deferred" value={deferred} state="deferred" />
      <Figure name="held" value={held} state="held" />
      {summary.oldestReceivedAt && (
        <p className="text-soft text-sm">
          oldest <Ago at={summary.oldestReceivedAt} />
        </p>
      )}
    </div>
  )
}

function Figure({ name, value, state }: { name: string; value: number; state?: string }) {
  return (
    <Link to="/queue" search={{ state }} className="group flex flex-col">
      <span className="font-semibold text-lg leading-6">{formatCount(value)}</span>
      <span className="text-faint text-xs group-hover:underline">{name}</span>
    </Link>
  )
}
