import type { QueueItem } from '@postern/contract/views.ts'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { Link, useNavigate, useSearch } from '@tanstack/react-router'
import { Inbox } from 'lucide-react'
import { useMemo, useState } from 'react'
import { pagesQuery } from '../../api/queries.ts'
import { useMay } from '../../api/role.ts'
import { StateBadge } from '../../ui/Badge.tsx'
import { type Column, DataTable } from '../../ui/DataTable.tsx'
import { formatBytes, formatCount } from '../../ui/format.ts'
import { Empty, Failure, Page, Panel } from '../../ui/Page.tsx'
import { Ago } from '../../ui/Time.tsx'
import { BulkActions } from './BulkActions.tsx'
import { Doctor } from './Doctor.tsx'
import { Filters } from './Filters.tsx'
import { queueSummaryQuery } from './queries.ts'
import { RunButton } from './RunButton.tsx'
import { Summary } from './Summary.tsx'

const columns: Column<QueueItem>[] = [
  { id: 'state', header: 'State', width: '5.75rem', cell: (item) => <StateBadge state={item.state} /> },
  {
    id: 'sender',
    header: 'From',
    width: 'minmax(7rem,1.2fr)',
    cell: (item) => (
      <Link to="/messages/$id" params={{ id: item.id }} className="text-accent hover:underline" title={item.sender}>
        <bdi>{item.sender || '<> (null sender)'}</bdi>
      </Link>
    ),
  },
  {
    id: 'recipients',
    header: 'To',
    width: 'minmax(7rem,1fr)',
    cell: (item) => (
      <span title={item.recipients.join('\n')}>
        <bdi>{item.recipients[0]}</bdi>
        {item.recipients.length > 1 && <span className="text-faint"> +{formatCount(item.recipients.length - 1)}</span>}
      </span>
    ),
  },
  {
    id: 'cause',
    header: 'Why it waits',
    width: 'minmax(0,1.3fr)',
    wide: true,
    cell: (item) => <bdi title={item.cause}>{item.cause ?? ''}</bdi>,
  },
  {
    id: 'attempts',
    header: 'Attempts',
    width: '4.5rem',
    align: 'right',
    wide: true,
    cell: (item) => formatCount(item.attempts),
  },
  {
    id: 'next',
    header: 'Next attempt',
    width: '5.25rem',
    wide: true,
    cell: (item) => item.nextTryAt && <Ago at={item.nextTryAt} />,
  },
  { id: 'received', header: 'Received', width: '5.25rem', wide: true, cell: (item) => <Ago at={item.receivedAt} /> },
  { id: 'size', header: 'Size', width: '5rem', align: 'right', wide: true, cell: (item) => formatBytes(item.size) },
]

export function Queue() {
  const filter = useSearch({ from: '/queue' })
  const navigate = useNavigate()
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set())
  const may = useMay('operator')
  const summary = useQuery(queueSummaryQuery)
  const query = useInfiniteQuery({ ...pagesQuery<QueueItem>('/v1/queue', { ...filter }), refetchInterval: 5000 })
  const rows = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data])
  const filtered = Object.values(filter).some((value) => value !== undefined)
  const selected = rows.filter((row) => chosen.has(row.id))
  return (
    <Page
      title="Queue"
      help="Messages that were accepted and are not delivered yet."
      actions={<RunButton />}
      needs={{ role: 'operator', to: 'act on messages' }}
    >
      <div className="flex flex-col gap-5">
        <Summary query={summary} />
        <Doctor />
        {query.error ? <Failure error={query.error} onRetry={() => void query.refetch()} /> : null}
        <Panel flush>
          <Filters />
          <BulkActions selected={selected} filter={filtered ? filter : null} onDone={() => setChosen(new Set())} />
          <DataTable
            label="Messages in the queue"
            rows={rows}
            columns={columns}
            rowId={(row) => row.id}
            loading={query.isPending}
            {...(may ? { selected: chosen, onSelect: setChosen } : {})}
            onOpen={(row) => void navigate({ to: '/messages/$id', params: { id: row.id } })}
            onEnd={query.hasNextPage && !query.isFetchingNextPage ? () => void query.fetchNextPage() : undefined}
            empty={
              <Empty icon={Inbox} title={filtered ? 'No message matches these filters' : 'The queue is empty'}>
                {filtered ? 'Remove a filter to see more.' : 'All accepted messages were delivered or returned.'}
              </Empty>
            }
          />
        </Panel>
      </div>
    </Page>
  )
}
