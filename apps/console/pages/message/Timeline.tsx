import type { RecordedEvent } from '@postern/contract/views.ts'
import { At } from '../../ui/Time.tsx'
import { visibleText } from '../../ui/visible-text.ts'
import { EventFields } from '../events/EventFields.tsx'
import { toneOfEvent } from '../events/tone.ts'

const dots = { calm: 'bg-edge', good: 'bg-accent', warn: 'bg-warn', danger: 'bg-danger', info: 'bg-info' }

/** The events of one message, step by step. */
export function Timeline({ events }: { events: readonly RecordedEvent[] }) {
  if (events.length === 0) return <p className="text-soft text-sm">No events are stored yet.</p>
  return (
    <ol className="relative ml-1.5 flex flex-col gap-4 border-line border-l pl-5">
      {events.map((event) => (
        <li key={event.id} className="relative">
          <span
            aria-hidden="true"
            className={`-left-[1.57rem] absolute top-1.5 size-2.5 rounded-full ring-4 ring-panel ${dots[toneOfEvent(event.type)]}`}
          />
          <div className="flex flex-wrap items-baseline gap-x-3">
            <h3 className="font-medium text-sm">{event.title}</h3>
            <span className="text-faint text-xs">
              <At at={event.at} /> · {event.worker}
            </span>
          </div>
          <p className="stranger text-soft">{visibleText(event.text)}</p>
          <details className="mt-0.5 text-sm">
            <summary className="w-fit text-faint text-xs hover:text-ink">All fields</summary>
            <EventFields event={event} />
          </details>
        </li>
      ))}
    </ol>
  )
}
