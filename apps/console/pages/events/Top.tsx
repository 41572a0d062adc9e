import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { call } from '../../api/client.ts'
import { type Counting, countings } from '../../log/filters.ts'
import { countKey } from '../../log/log-search.ts'
import { Select } from '../../ui/Controls.tsx'
import { formatCount } from '../../ui/format.ts'
import { Failure, Panel } from '../../ui/Page.tsx'
import { CountNote, type CountsProps, countOnce, type Reach } from './count.tsx'
import { FilterLink } from './FilterLink.tsx'

const mostValues = 20

/** The most frequent values of a column. Each is a filter. */
export function Top({ search, query, span }: CountsProps) {
  const navigate = useNavigate()
  const by = search.by ?? 'type'
  const counting = countings.find((one) => one.by === by) ?? countings[0]
  const asked = { ...query, ...span, by, limit: mostValues }
  const found = useQuery({
    ...countOnce,
    queryKey: [...countKey, 'top', asked],
    queryFn: ({ signal }) =>
      call<Reach & { items: { value: string | number; count: number }[] }>({
        path: '/v1/events/top',
        query: asked,
        signal,
      }),
  })
  const items = found.data?.items ?? []
  const most = items[0]?.count ?? 1
  const choose = (value: string) => void navigate({ to: '/events', search: { ...search, by: value as Counting } })
  return (
    <Panel
      title="Most frequent"
      aside={
        <span className="flex flex-wrap items-center gap-3">
          {found.data && !found.data.complete && <CountNote text="" found={found} />}
          <Select aria-label="Count by" value={by} onChange={(event) => choose(event.target.value)}>
            {countings.map((one) => (
              <option key={one.by} value={one.by}>
                {one.label}
              </option>
            ))}
          </Select>
        </span>
      }
    >
      {found.error ? <Failure error={found.error} onRetry={() => void found.refetch()} /> : null}
      {found.data && items.length === 0 && (
        <p className="text-soft text-sm">No matching event has a value in this column.</p>
      )}
      <ol aria-label="Most frequent values" className="max-h-52 overflow-y-auto">
        {items.map(({ value, count }) => (
          <li key={value} className="relative flex items-center justify-between gap-4 px-2 py-1 text-sm">
            <span
              aria-hidden="true"
              className="absolute inset-y-0.5 left-0 rounded bg-accent-soft"
              style={{ width: `${(100 * count) / most}%` }}
            />
            <span className="relative min-w-0 truncate">
              <FilterLink field={counting.filter} value={value} search={search} />
            </span>
            <span className="relative">{formatCount(count)}</span>
          </li>
        ))}
      </ol>
    </Panel>
  )
}
