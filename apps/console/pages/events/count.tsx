import type { Query } from '../../api/client.ts'
import type { EventsSearch } from '../../log/filters.ts'
import type { Span } from '../../log/range.ts'
import { formatTime } from '../../ui/format.ts'

/** What the chart and the most frequent values have in common. */
export type CountsProps = { search: EventsSearch; query: Query; span: Span; asOf: number }
export type Reach = { searchedBackTo: string; complete: boolean }

/** A count belongs to one moment, and is asked once. */
export const countOnce = { staleTime: Number.POSITIVE_INFINITY, gcTime: 60_000, retry: false }

type NoteProps = { text: string; found: { data: Reach | undefined; isFetching: boolean } }

/** How much was counted, and how far back if the time for it ran out. */
export function CountNote({ text, found: { data, isFetching } }: NoteProps) {
  if (isFetching || !data)
    return <span className="text-faint text-sm">{isFetching ? 'Counting …' : 'Not counted'}</span>
  return (
    <span className={`text-sm ${data.complete ? 'text-soft' : 'text-warn'}`}>
      {text} {!data.complete && `counted back to ${formatTime(data.searchedBackTo)}`}
    </span>
  )
}
