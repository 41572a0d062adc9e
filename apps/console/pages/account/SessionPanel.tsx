import type { LoginSessionView } from '@postern/contract/views.ts'
import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query'
import { MonitorSmartphone } from 'lucide-react'
import { toast } from 'sonner'
import { send } from '../../api/client.ts'
import { explain } from '../../api/problem.ts'
import { pagesQuery } from '../../api/queries.ts'
import { Badge } from '../../ui/Badge.tsx'
import { Button } from '../../ui/Button.tsx'
import { type Column, DataTable } from '../../ui/DataTable.tsx'
import { Empty, Failure, Panel } from '../../ui/Page.tsx'
import { Ago } from '../../ui/Time.tsx'
import { visibleText } from '../../ui/visible-text.ts'

const path = '/v1/me/sessions'

export function LoginSessionPanel() {
  const client = useQueryClient()
  const query = useInfiniteQuery(pagesQuery<LoginSessionView>(path))
  const rows = query.data?.pages.flatMap((page) => page.items) ?? []
  const end = useMutation({
    mutationFn: (id: string) => send({ method: 'DELETE', path: `${path}/${id}` }),
    onSuccess: () => toast.success('The session has ended'),
    onError: (error) => toast.error(explain(error)),
    onSettled: () => client.invalidateQueries({ queryKey: ['pages', path] }),
  })
  const columns: Column<LoginSessionView>[] = [
    {
      id: 'agent',
      header: 'Browser or program',
      width: 'minmax(9rem,3fr)',
      cell: ({ agent, current }) => (
        <span className="flex items-center gap-2">
          {current && <Badge>this session</Badge>}
          <span className="stranger truncate">{agent ? visibleText(agent) : 'not known'}</span>
        </span>
      ),
    },
    {
      id: 'address',
      header: 'Address',
      width: '9rem',
      wide: true,
      cell: ({ address }) => <span className="mono">{address ?? 'not known'}</span>,
    },
    { id: 'since', header: 'Signed in', width: '7rem', wide: true, cell: ({ createdAt }) => <Ago at={createdAt} /> },
    { id: 'seen', header: 'Last seen', width: '7rem', wide: true, cell: ({ seenAt }) => <Ago at={seenAt} /> },
    {
      id: 'actions',
      header: 'Actions',
      width: '5rem',
      align: 'right',
      cell: ({ id, current, agent }) =>
        current ? null : (
          <Button aria-label={`End the session of ${agent ?? id}`} onClick={() => end.mutate(id)}>
            End
          </Button>
        ),
    },
  ]
  return (
    <Panel title="Your sessions" flush>
      {query.error ? (
        <Failure error={query.error} onRetry={() => void query.refetch()} />
      ) : (
        <DataTable
          label="Your sessions"
          rows={rows}
          columns={columns}
          rowId={({ id }) => id}
          loading={query.isPending}
          empty={<Empty icon={MonitorSmartphone} title="No sessions" />}
        />
      )}
    </Panel>
  )
}
