import { Link } from '@tanstack/react-router'
import { type EventField, type EventsSearch, eventFields, filterValue, valueText } from '../../log/filters.ts'
import { visibleText } from '../../ui/visible-text.ts'

type Props = {
  field: EventField
  value: string | number
  search: EventsSearch
  /** Text in place of the value. */
  text?: string
  onGo?: (() => void) | undefined
}

/** A value that narrows the search to the events that have it. */
export function FilterLink({ field, value, search, text, onGo }: Props) {
  const shown = visibleText(text ?? valueText(field, String(value)))
  const label = eventFields.find(({ key }) => key === field)?.label ?? field
  return (
    <Link
      to="/events"
      search={{ ...search, [field]: filterValue(field, value) }}
      title={`Only events with ${label}: ${shown}`}
      className="text-accent hover:underline"
      {...(onGo ? { onClick: onGo } : {})}
    >
      <bdi>{shown}</bdi>
    </Link>
  )
}
