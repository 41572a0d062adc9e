import type { RecordedEvent } from '@postern/contract/views.ts'
import { valuesOf } from '../../log/event-values.ts'
import { type EventField, type EventsSearch, eventFields } from '../../log/filters.ts'
import { Badge } from '../../ui/Badge.tsx'
import type { Column } from '../../ui/DataTable.tsx'
import { formatCount } from '../../ui/format.ts'
import { visibleText } from '../../ui/visible-text.ts'
import { FilterLink } from './FilterLink.tsx'
import { toneOfEvent } from './tone.ts'

const valueColumns = [
  { id: 'worker', width: '5rem' },
  { id: 'message', width: '9rem' },
  { id: 'sender', width: 'minmax(6rem,12rem)' },
  { id: 'recipient', width: 'minmax(6rem,12rem)' },
  { id: 'client', width: '8rem' },
  { id: 'login', width: '8rem' },
  { id: 'rule', width: '8rem' },
  { id: 'reason', width: '8rem' },
  { id: 'code', width: '5rem' },
] as const satisfies { id: EventField; width: string }[]

/** The columns to choose from, in their order. What and the event's sentence are always there. */
export const columnChoices = [
  { id: 'at', label: 'Time' },
  ...valueColumns.map(({ id }) => ({ id, label: labelOf(id) })),
]
const usual = ['at', 'worker']

function labelOf(id: EventField): string {
  return eventFields.find(({ key }) => key === id)?.label ?? id
}

export function chosenColumns({ columns }: EventsSearch): string[] {
  if (columns === undefined) return usual
  const ids = new Set(columns.split(','))
  return columnChoices.map(({ id }) => id).filter((id) => ids.has(id))
}

/** As in the URL: nothing for the usual ones, `-` for none. */
export function columnsText(chosen: readonly string[]): string | undefined {
  if (chosen.join() === usual.join()) return undefined
  return chosen.join(',') || '-'
}

const today = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' })

function clock(at: string): string {
  const time = `${new Date(at).toTimeString().slice(0, 8)}.${at.slice(20, 23)}`
  return new Date(at).toDateString() === new Date().toDateString() ? time : `${today.format(new Date(at))} ${time}`
}

export function columnsOf(search: EventsSearch): Column<RecordedEvent>[] {
  const chosen = new Set(chosenColumns(search))
  return [
    ...(chosen.has('at') ? [timeColumn] : []),
    ...valueColumns.filter(({ id }) => chosen.has(id)).map((column) => valueColumn(column, search)),
    {
      id: 'title',
      header: 'What',
      width: 'minmax(7rem,13rem)',
      phone: '6.5rem',
      cell: (event) => <Badge tone={toneOfEvent(event.type)}>{event.title}</Badge>,
    },
    {
      id: 'text',
      header: 'Event',
      width: 'minmax(8rem,1fr)',
      cell: (event) => <bdi title={visibleText(event.text)}>{visibleText(event.text)}</bdi>,
    },
  ]
}

const timeColumn: Column<RecordedEvent> = {
  id: 'at',
  header: 'Time',
  width: '9.5rem',
  phone: '6.5rem',
  cell: (event) => (
    <time dateTime={event.at} title={event.at} className="mono text-soft">
      {clock(event.at)}
    </time>
  ),
}

type ValueColumn = { id: EventField; width: string }

function valueColumn({ id, width }: ValueColumn, search: EventsSearch): Column<RecordedEvent> {
  return {
    id,
    header: labelOf(id),
    width,
    wide: true,
    cell: (event) => {
      const [first, ...others] = valuesOf(event).filter(({ key }) => key === id)
      if (!first) return null
      return (
        <>
          <FilterLink field={id} value={first.value} search={search} />
          {others.length > 0 && <span className="text-faint"> +{formatCount(others.length)}</span>}
        </>
      )
    },
  }
}
