import type { WorkerView } from '@postern/contract/views.ts'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Server } from 'lucide-react'
import { useMemo } from 'react'
import { workersQuery } from '../../api/queries.ts'
import { Badge, StateBadge } from '../../ui/Badge.tsx'
import { type Column, DataTable } from '../../ui/DataTable.tsx'
import { formatCount } from '../../ui/format.ts'
import { Empty, Loaded, Page, Panel } from '../../ui/Page.tsx'
import { Ago } from '../../ui/Time.tsx'
import { visibleText } from '../../ui/visible-text.ts'

const columns: Column<WorkerView>[] = [
  {
    id: 'id',
    header: 'Worker',
    width: 'minmax(6rem,1fr)',
    cell: (w) => (
      <Link to="/services/$name" params={{ name: w.service }} className="mono text-accent hover:underline">
        {w.id}
      </Link>
    ),
  },
  { id: 'state', header: 'State', width: '6.5rem', cell: (w) => <StateBadge state={w.live ? w.observed : 'silent'} /> },
  {
    id: 'revision',
    header: 'Revision in force',
    width: 'minmax(7rem,1fr)',
    cell: (w) => (
      <span className="flex items-center gap-2">
        {w.revision}
        {w.refused ? (
          <Badge tone="danger" title={w.refused.error}>
            refused {w.refused.revision}
          </Badge>
        ) : (
          w.lag > 0 && <Badge tone="warn">{w.otherHistory ? 'from before a restore' : `${w.lag} behind`}</Badge>
        )}
      </span>
    ),
  },
  {
    id: 'sessions',
    header: 'Sessions',
    width: '5rem',
    align: 'right',
    wide: true,
    cell: (w) => formatCount(w.sessions),
  },
  {
    id: 'unsent',
    header: 'Unsent',
    width: '5rem',
    align: 'right',
    wide: true,
    cell: (w) => formatCount(w.eventsUnsent),
  },
  { id: 'heartbeat', header: 'Heartbeat', width: '7rem', wide: true, cell: (w) => <Ago at={w.heartbeatAt} /> },
  { id: 'started', header: 'Started', width: '8rem', wide: true, cell: (w) => <Ago at={w.startedAt} /> },
  { id: 'version', header: 'Version', width: '5rem', wide: true, cell: (w) => w.version },
]

export function Workers() {
  const query = useQuery(workersQuery(1000))
  return (
    <Page
      title="Workers"
      help="The revision that each worker uses. A worker that has not reported for 20 seconds is silent."
    >
      <Loaded query={query}>
        {(workers) => (
          <div className="flex flex-col gap-5">
            <Troubles workers={workers} />
            <Panel flush>
              <Table workers={workers} />
            </Panel>
          </div>
        )}
      </Loaded>
    </Page>
  )
}

/** The workers' problems in words, above the table. */
function Troubles({ workers }: { workers: WorkerView[] }) {
  const troubled = workers.filter((worker) => worker.live && (worker.refused || worker.detail))
  if (troubled.length === 0) return null
  return (
    <ul className="flex flex-col gap-2">
      {troubled.map(({ id, detail, refused, revision }) => (
        <li key={id} className="rounded-lg bg-danger-soft px-4 py-2.5 text-danger text-sm">
          <strong className="mono">{id}</strong>{' '}
          {refused && (
            <>
              refused revision {refused.revision}: <span className="stranger">{visibleText(refused.error)}</span>.
              Revision {revision}, the last good one, stays in force there.{' '}
            </>
          )}
          {detail && <span className="stranger">{visibleText(detail)}</span>}
        </li>
      ))}
    </ul>
  )
}

function Table({ workers }: { workers: WorkerView[] }) {
  const sorted = useMemo(() => [...workers].sort((a, b) => a.id.localeCompare(b.id)), [workers])
  return (
    <DataTable
      label="Workers"
      rows={sorted}
      columns={columns}
      rowId={(worker) => worker.id}
      empty={
        <Empty icon={Server} title="No worker has enrolled yet">
          Start one with POSTERN_API_URL and POSTERN_ENROL_TOKEN set; it shows up here within seconds.
        </Empty>
      }
    />
  )
}
