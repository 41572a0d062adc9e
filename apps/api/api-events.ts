import { cutFields } from '@postern/contract/event-lengths.ts'
import type { EventFields, EventType } from '@postern/contract/events.ts'
import { ingest } from '@postern/store/records/ingest.ts'
import { highestEvent } from '@postern/store/records/workers.ts'
import type { Dependencies } from './dependencies.ts'
import { signalEvents } from './event-signal.ts'
import { iso } from './pagination.ts'

/** The name under which the API records its own events. */
const self = 'api'
/** Several functions may try the same number. One gets it, and the others retry with the next. */
const tries = 20

/** Records one event of the API itself. Rejects if it cannot be stored. */
export async function recordApiEvent<T extends EventType>(
  parts: Dependencies,
  type: T,
  given: EventFields<T>,
): Promise<void> {
  const fields = cutFields(type, given)
  for (let i = 0; i < tries; i++) {
    const n = (await highestEvent(parts.records, self)) + 1
    const { stored } = await ingest(parts.records, self, [{ n, at: iso(parts.now()), type, ...fields }])
    if (stored > 0) {
      signalEvents(parts)
      return
    }
  }
  throw new Error(`no free number for the event ${type}`)
}
