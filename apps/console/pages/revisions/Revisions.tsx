import { systemHistoryDays } from '@postern/contract/schedule.ts'
import type { RevisionView } from '@postern/contract/views.ts'
import { useInfiniteQuery } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import { History } from 'lucide-react'
import { useMemo } from 'react'
import { pagesQuery } from '../../api/queries.ts'
import { Badge } from '../../ui/Badge.tsx'
import { type Column, DataTable } from '../../ui/DataTable.tsx'
import { formatCount } from '../../ui/format.ts'
import { Empty, Failure, Page, Panel } from '../../ui/Page.tsx'
import { Ago } from '../../ui/Time.tsx'

const columns: Column<RevisionView>[] = [
  {
    id: 'revision',
    header: 'Revision',
    width: '5rem',
    cell: (row) => (
      <Link
        to="/revisions/$revision"
        params={{ revision: String(row.revision) }}
        className="font-medium text-accent hover:underline"
      >
        {row.revision}
      </Link>
    ),
  },
  {
    id: 'summary',
    header: 'What changed',
    width: 'minmax(8rem,2fr)',
    cell: (row) => (
      <span title={row.summary}>
        {row.rolledBackTo !== undefined && <Badge tone="warn">rolled back to {row.rolledBackTo}</Badge>} {row.summary}
      </span>
    ),
  },
  {
    id: 'comment',
    header: 'Comment',
    width: 'minmax(0,1.5fr)',
    wide: true,
    cell: (row) => row.comment && <span title={row.comment}>{row.comment}</span>,
  },
  { id: 'actor', header: 'Who', width: 'minmax(5rem,1fr)', wide: true, cell: (row) => row.actor },
  { id: 'rows', header: 'Rows', width: '4rem', align: 'right', wide: true, cell: (row) => formatCount(row.changes) },
  { id: 'at', header: 'When', width: '7rem', cell: (row) => <Ago at={row.at} /> },
]

export function Revisions() {
  const navigate = useNavigate()
  const query = useInfiniteQuery(pagesQuery<RevisionView>('/v1/revisions', {}))
  const rows = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data])
  return (
    <Page
      title="Revisions"
      help={`Every change, newest first. Open one to see its diff, to revert it, or to roll back to it. Automatic changes (blocks and their expiry) are kept for ${systemHistoryDays} days.`}
    >
      {query.error ? <Failure error={query.error} onRetry={() => void query.refetch()} /> : null}
      <Panel flush>
        <DataTable
          label="Revisions"
          rows={rows}
          columns={columns}
          rowId={(row) => String(row.revision)}
          loading={query.isPending}
          onOpen={(row) => void navigate({ to: '/revisions/$revision', params: { revision: String(row.revision) } })}
          onEnd={query.hasNextPage && !query.isFetchingNextPage ? () => void query.fetchNextPage() : undefined}
          empty={<Empty icon={History} title="No changes yet" />}
        />
      </Panel>
    </Page>
  )
}
