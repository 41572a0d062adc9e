import type { RecordedEvent } from '@postern/contract/views.ts'
import { Link } from '@tanstack/react-router'
import { type EventValue, valuesOf } from '../../log/event-values.ts'
import { type EventsSearch, eventFields } from '../../log/filters.ts'
import { Dialog } from '../../ui/Dialog.tsx'
import { formatCount } from '../../ui/format.ts'
import { Fact, Facts } from '../../ui/Page.tsx'
import { At } from '../../ui/Time.tsx'
import { visibleText } from '../../ui/visible-text.ts'
import { EventFields } from './EventFields.tsx'
import { FilterLink } from './FilterLink.tsx'

/** Values of one kind that are shown; a message may have thousands of recipients. */
const shownValues = 20

type Props = { event: RecordedEvent; search: EventsSearch; onClose: () => void }

/** An event with all its fields. Each value that events can be filtered by is a link that adds the filter. */
export function EventDialog({ event, search, onClose }: Props) {
  const byKey = Map.groupBy(valuesOf(event), ({ key }) => key)
  const values = eventFields.flatMap(({ key, label }) => {
    const found = byKey.get(key)
    return found ? [{ key, label, found }] : []
  })
  return (
    <Dialog
      title={event.title}
      size="wide"
      onClose={onClose}
      footer={
        event.messageId && (
          <Link to="/messages/$id" params={{ id: event.messageId }} className="text-accent text-sm underline">
            Open the message and its trace
          </Link>
        )
      }
    >
      <p className="stranger mb-4">{visibleText(event.text)}</p>
      <Facts>
        <Fact name="Time">
          <At at={event.at} />
        </Fact>
        {values.map(({ key, label, found }) => (
          <Fact key={key} name={label}>
            <Values values={found} search={search} onGo={onClose} />
          </Fact>
        ))}
      </Facts>
      <h3 className="mt-4 mb-1 font-medium text-sm">All fields</h3>
      <EventFields event={event} />
    </Dialog>
  )
}

type ValuesProps = { values: readonly EventValue[]; search: EventsSearch; onGo: () => void }

function Values({ values, search, onGo }: ValuesProps) {
  const rest = values.length - shownValues
  return (
    <span className="flex flex-wrap gap-x-3 gap-y-0.5 [overflow-wrap:anywhere]">
      {values.slice(0, shownValues).map(({ key, value }) => (
        <FilterLink key={value} field={key} value={value} search={search} onGo={onGo} />
      ))}
      {rest > 0 && <span className="text-faint">and {formatCount(rest)} more</span>}
    </span>
  )
}
