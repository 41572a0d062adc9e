import type { RecordedEvent } from '@postern/contract/views.ts'
import { visibleText } from '../../ui/visible-text.ts'

const known = new Set(['id', 'worker', 'n', 'at', 'type', 'title', 'text'])

/** Every field of an event as text. Nothing from outside is interpreted. */
export function EventFields({ event }: { event: RecordedEvent }) {
  const fields = Object.entries(event).filter(([key]) => !known.has(key))
  return (
    <dl className="mt-1 grid grid-cols-[max-content_1fr] gap-x-4 gap-y-0.5 rounded bg-sunken px-3 py-2 text-xs">
      {fields.map(([key, value]) => (
        <div key={key} className="contents">
          <dt className="text-faint">{key}</dt>
          <dd className="stranger min-w-0">
            {visibleText(typeof value === 'string' ? value : JSON.stringify(value, null, 1))}
          </dd>
        </div>
      ))}
    </dl>
  )
}
