import type { Query } from '../../api/client.ts'
import type { EventsSearch } from '../../log/filters.ts'
import type { Span } from '../../log/range.ts'
import { formatTime } from '../../ui/format.ts'

/** What the chart and the most frequent values have in common. */
export type CountsProps = { search: EventsSearch; query: Query; span: Span; asOf: number }
export type Reach = { searchedBackTo: string; complete: boolean }

/** A count belongs to one moment, and is asked once. */
export const countOnce = { staleTime: Number.POSITIVE_INFINITY, gcTime: 60_000, retry: false }

/** How much was counted, and how far back if the time for it ran out. */
export function CountNote({ text, reach }: { text: string; reach: Reach | undefined }) {
  if (!reach) return <span className="text-faint text-sm">Counting …</span>
  return (
    <span className={`text-sm ${reach.complete ? 'text-soft' : 'text-warn'}`}>
      {text} {!reach.complete && `counted back to ${formatTime(reach.searchedBackTo)}`}
    </span>
  )
}
