import type { auditViewSchema } from '@postern/contract/views.ts'
import { useInfiniteQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { ScrollText } from 'lucide-react'
import { useMemo, useState } from 'react'
import type { z } from 'zod'
import { pagesQuery } from '../../api/queries.ts'
import { Input } from '../../ui/Controls.tsx'
import { type Column, DataTable } from '../../ui/DataTable.tsx'
import { Empty, Failure, Page, Panel } from '../../ui/Page.tsx'
import { Ago, At } from '../../ui/Time.tsx'
import { useNarrow } from '../../ui/use-narrow.ts'

type Entry = z.infer<typeof auditViewSchema>

const columns: Column<Entry>[] = [
  {
    id: 'at',
    header: 'When',
    width: '10.5rem',
    phone: '5rem',
    cell: (entry) => <When at={entry.at} />,
  },
  {
    id: 'actor',
    header: 'Who',
    width: 'minmax(6rem,1.2fr)',
    cell: (entry) => <bdi title={entry.actor}>{entry.actor}</bdi>,
  },
  {
    id: 'action',
    header: 'Action',
    width: 'minmax(8.5rem,1fr)',
    cell: (entry) => (
      <span className="mono" title={entry.action}>
        {entry.action}
      </span>
    ),
  },
  {
    id: 'address',
    header: 'Address',
    width: '8rem',
    wide: true,
    cell: (entry) => <span className="mono">{entry.address}</span>,
  },
  {
    id: 'entity',
    header: 'Target',
    width: 'minmax(0,1.6fr)',
    wide: true,
    cell: (entry) => <bdi title={entry.entity}>{[entry.kind, entry.entity].filter(Boolean).join(' ')}</bdi>,
  },
  {
    id: 'comment',
    header: 'Comment',
    width: 'minmax(0,0.8fr)',
    wide: true,
    cell: (entry) => entry.comment && <span title={entry.comment}>{entry.comment}</span>,
  },
  {
    id: 'revision',
    header: 'Revision',
    width: '4.5rem',
    align: 'right',
    cell: (entry) =>
      entry.revision !== undefined && (
        <Link
          to="/revisions/$revision"
          params={{ revision: String(entry.revision) }}
          className="text-accent hover:underline"
        >
          {entry.revision}
        </Link>
      ),
  },
]

/** The exact time, if there is room for it. */
function When({ at }: { at: string }) {
  const narrow = useNarrow()
  return narrow ? <Ago at={at} /> : <At at={at} />
}

export function Audit() {
  const [search, setSearch] = useState('')
  const query = useInfiniteQuery(pagesQuery<Entry>('/v1/audit', { q: search || undefined }))
  const rows = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data])
  return (
    <Page
      title="Audit log"
      help="Who did what and when: every change, every sign-in, and every time a message was read."
    >
      {query.error ? <Failure error={query.error} onRetry={() => void query.refetch()} /> : null}
      <Panel flush>
        <div className="border-line border-b p-2">
          <Input
            type="search"
            aria-label="Search the audit log"
            placeholder="Search"
            value={search}
            onChange={(event) => setSearch(event.target.value)}
            className="w-full max-w-xs"
          />
        </div>
        <DataTable
          label="Audit log"
          rows={rows}
          columns={columns}
          rowId={(entry) => entry.id}
          loading={query.isPending}
          onEnd={query.hasNextPage && !query.isFetchingNextPage ? () => void query.fetchNextPage() : undefined}
          empty={<Empty icon={ScrollText} title={search ? 'Nothing matches' : 'Nothing has happened yet'} />}
        />
      </Panel>
    </Page>
  )
}
