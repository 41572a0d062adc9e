import type { RecordedEvent } from '@postern/contract/views.ts'
import { Link } from '@tanstack/react-router'
import { Dialog } from '../../ui/Dialog.tsx'
import { Fact, Facts } from '../../ui/Page.tsx'
import { At } from '../../ui/Time.tsx'
import { visibleText } from '../../ui/visible-text.ts'
import { EventFields } from './EventFields.tsx'

export function EventDialog({ event, onClose }: { event: RecordedEvent; onClose: () => void }) {
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
        <Fact name="Worker">
          <span className="mono">
            {event.worker} #{event.n}
          </span>
        </Fact>
        <Fact name="Type">
          <span className="mono">{event.type}</span>
        </Fact>
      </Facts>
      <EventFields event={event} />
    </Dialog>
  )
}
