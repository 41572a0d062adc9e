import type { QueueDoctorItem } from '@postern/contract/views.ts'
import { type WaitingCause, waitingCauses } from '@postern/contract/waiting-causes.ts'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { ChevronRight } from 'lucide-react'
import { useState } from 'react'
import { useMay } from '../../api/role.ts'
import { Badge } from '../../ui/Badge.tsx'
import { Button } from '../../ui/Button.tsx'
import { formatCount, plural } from '../../ui/format.ts'
import { Failure, Panel } from '../../ui/Page.tsx'
import { Ago } from '../../ui/Time.tsx'
import { visibleText } from '../../ui/visible-text.ts'
import { type Action, actionNames, actions } from './actions.ts'
import { MatchingDialog } from './BulkActions.tsx'
import { doctorQuery } from './queries.ts'
import type { QueueSearch } from './search.ts'

const shownAtFirst = 5

/** Why mail waits: one line for each destination and cause, in descending order of messages. Empty if nothing has failed. */
export function Doctor() {
  const query = useQuery(doctorQuery)
  const [all, setAll] = useState(false)
  if (query.error && !query.data) return <Failure error={query.error} onRetry={() => void query.refetch()} />
  // Messages that were not tried yet are assumed to be on their way.
  const items = (query.data?.items ?? []).filter(({ cause }) => cause !== 'not-tried')
  if (items.length === 0) return null
  const shown = all ? items : items.slice(0, shownAtFirst)
  return (
    <Panel title="Why mail waits" flush>
      <ul aria-label="Why mail waits" className="divide-y divide-line">
        {shown.map((item) => (
          <Line key={`${item.destination} ${item.cause}`} item={item} />
        ))}
      </ul>
      {items.length > shown.length && (
        <div className="border-line border-t px-4 py-2">
          <Button look="quiet" onClick={() => setAll(true)}>
            Show all {formatCount(items.length)}
          </Button>
        </div>
      )}
    </Panel>
  )
}

function Line({ item }: { item: QueueDoctorItem }) {
  const { destination, cause, title, messages, oldestReceivedAt, nextTryAt } = item
  return (
    <li>
      <details className="group">
        <summary className="flex cursor-pointer list-none flex-wrap items-center gap-x-3 gap-y-1 px-4 py-2.5 text-sm -outline-offset-2 hover:bg-raised">
          <ChevronRight
            aria-hidden="true"
            className="size-4 shrink-0 text-faint transition-transform group-open:rotate-90"
          />
          <span className="font-medium">{plural(messages, 'message')}</span>
          <bdi className="min-w-0 truncate">{destination}</bdi>
          <Badge tone={waitingCauses[cause].tone}>{title}</Badge>
          <span className="ml-auto flex flex-wrap gap-x-4 text-soft">
            <span>
              oldest <Ago at={oldestReceivedAt} />
            </span>
            {nextTryAt && (
              <span>
                next attempt <Ago at={nextTryAt} />
              </span>
            )}
          </span>
        </summary>
        <Details item={item} />
      </details>
    </li>
  )
}

function Details({ item }: { item: QueueDoctorItem }) {
  const { explanation, nextAction, example, filter } = item
  const may = useMay('operator')
  const [action, setAction] = useState<Action | null>(null)
  const search = filter as QueueSearch
  return (
    <div className="flex max-w-3xl flex-col gap-3 px-4 pt-1 pb-4 pl-11 text-sm">
      <p>{explanation}</p>
      {example.reply && <p className="stranger mono rounded bg-sunken px-3 py-2">{visibleText(example.reply)}</p>}
      <p className="text-soft">{nextAction}</p>
      <p className="flex flex-wrap gap-x-4">
        <Link to="/queue" search={search} className="text-accent hover:underline">
          Show these messages
        </Link>
        <Link to="/messages/$id" params={{ id: example.messageId }} className="text-accent hover:underline">
          Open the newest one
        </Link>
      </p>
      {may && (
        <div className="flex flex-wrap gap-2">
          {actionsFor(item.cause).map((name) => (
            <Button key={name} onClick={() => setAction(name)}>
              {actions[name].title}
            </Button>
          ))}
        </div>
      )}
      {action && <MatchingDialog action={action} filter={search} onClose={() => setAction(null)} onDone={() => {}} />}
    </div>
  )
}

/** Returns the possible actions: held mail can be released; other mail can be retried or held. */
function actionsFor(cause: WaitingCause): Action[] {
  return actionNames.filter((name) => (cause === 'held' ? name !== 'hold' && name !== 'retry' : name !== 'release'))
}
