import type { QueueFilter } from '@postern/contract/orders.ts'
import type { QueueItem } from '@postern/contract/views.ts'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import { explain } from '../../api/problem.ts'
import { useMay } from '../../api/role.ts'
import { Button } from '../../ui/Button.tsx'
import { plural } from '../../ui/format.ts'
import { visibleText } from '../../ui/visible-text.ts'
import { ActionDialog, type Target } from './ActionDialog.tsx'
import { type Action, actionNames, actions } from './actions.ts'
import type { QueueSearch } from './search.ts'

type Props = { selected: readonly QueueItem[]; filter: QueueSearch | null; onDone: () => void }

/** Actions for the selected rows, or else for all matches of the filter, counted in a dry run first. */
export function BulkActions({ selected, filter, onDone }: Props) {
  const may = useMay('operator')
  const [action, setAction] = useState<Action | null>(null)
  const some = selected.length > 0
  if (!may || (!some && !filter)) return null
  return (
    <div className="flex flex-wrap items-center gap-2 border-line border-b bg-page/60 px-3 py-2">
      <p className="mr-2 text-sm text-soft">
        {some ? `${plural(selected.length, 'message')} selected` : 'All matching messages'}
      </p>
      {actionNames.map((name) => (
        <Button key={name} onClick={() => setAction(name)}>
          {actions[name].title}
        </Button>
      ))}
      {action && some && (
        <ActionDialog
          action={action}
          about={<Chosen messages={selected} />}
          count={selected.length}
          act={async (to) => {
            let last: { revision?: number } = {}
            for (const { id } of selected) last = await actOn(id, action, to)
            return last
          }}
          onClose={() => setAction(null)}
          onDone={onDone}
        />
      )}
      {action && !some && filter && (
        <MatchingDialog action={action} filter={filter} onClose={() => setAction(null)} onDone={onDone} />
      )}
    </div>
  )
}

/** The messages that the action affects, by name up to the length of a readable list. */
function Chosen({ messages }: { messages: readonly QueueItem[] }) {
  return (
    <>
      <strong>{plural(messages.length, 'selected message')}</strong>
      <ul className="mt-1 flex flex-col gap-0.5">
        {messages.slice(0, named).map(({ id, sender, recipients }) => (
          <li key={id} className="stranger">
            {visibleText(sender) || '<>'} → {visibleText(recipients[0] ?? '')}
            {recipients.length > 1 && ` +${recipients.length - 1}`}
          </li>
        ))}
      </ul>
      {messages.length > named && <p className="text-soft">… and {messages.length - named} more</p>}
    </>
  )
}

const named = 8

export function actOn(id: string, action: Action, to: Target | undefined): Promise<{ revision?: number }> {
  return call({ method: 'POST', path: `/v1/messages/${id}/${action}`, body: to ? { to } : {} })
}

type MatchingProps = { action: Action; filter: QueueSearch; onClose: () => void; onDone: () => void }

/** Counts the matches in a dry run, shows the number, and then carries out the action. */
export function MatchingDialog({ action, filter, onClose, onDone }: MatchingProps) {
  const body = { action, filter: asFilter(filter) }
  // The number depends on the filter alone. To reroute, the API would also need the host, which is not typed yet.
  const counted = action === 'reroute' ? { ...body, action: 'retry' as const } : body
  const count = useQuery({
    queryKey: ['queue', 'dry', counted],
    queryFn: () =>
      call<{ matched: number }>({ method: 'POST', path: '/v1/queue/actions', body: { ...counted, dryRun: true } }),
    gcTime: 0,
  })
  const matched = count.data?.matched
  return (
    <ActionDialog
      action={action}
      ready={matched !== undefined && matched > 0}
      count={matched ?? 0}
      about={
        count.error ? (
          <span className="text-danger">{explain(count.error)}</span>
        ) : matched === undefined ? (
          'Counting …'
        ) : (
          <>
            <strong>{plural(matched, 'message')}</strong> now match{matched === 1 ? 'es' : ''}{' '}
            <span className="mono">
              {Object.entries(body.filter)
                .map(([key, value]) => `${key}: ${value}`)
                .join(', ')}
            </span>
          </>
        )
      }
      act={(to) => call({ method: 'POST', path: '/v1/queue/actions', body: { ...body, ...(to ? { to } : {}) } })}
      onClose={onClose}
      onDone={onDone}
    />
  )
}

function asFilter({ olderThanMinutes, ...rest }: QueueSearch): QueueFilter {
  const set = Object.entries(rest).filter(([, value]) => value !== undefined)
  return { ...Object.fromEntries(set), ...(olderThanMinutes ? { olderThanMinutes: Number(olderThanMinutes) } : {}) }
}
