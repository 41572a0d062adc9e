import type { WorkerView } from '@postern/contract/views.ts'
import { useQuery } from '@tanstack/react-query'
import { Server } from 'lucide-react'
import { useMemo } from 'react'
import { workersQuery } from '../../api/queries.ts'
import { Badge, StateBadge } from '../../ui/Badge.tsx'
import { type Column, DataTable } from '../../ui/DataTable.tsx'
import { formatCount } from '../../ui/format.ts'
import { Empty, Loaded, Page, Panel } from '../../ui/Page.tsx'
import { Ago } from '../../ui/Time.tsx'

const columns: Column<WorkerView>[] = [
  { id: 'id', header: 'Worker', width: 'minmax(6rem,1fr)', cell: (w) => <span className="mono">{w.id}</span> },
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
          w.lag > 0 && <Badge tone="warn">{w.lag} behind</Badge>
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
      help="Which revision is in force where. A worker is silent when nothing was heard of it for 20 seconds."
    >
      <Panel flush>
        <Loaded query={query}>{(workers) => <Table workers={workers} />}</Loaded>
      </Panel>
    </Page>
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
