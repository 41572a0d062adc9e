import { cutFields } from '@postern/contract/event-lengths.ts'
import type { EventFields, EventType } from '@postern/contract/events.ts'
import { ingest } from '@postern/store/records/ingest.ts'
import { highestEvent } from '@postern/store/records/workers.ts'
import type { Dependencies } from './dependencies.ts'
import { signalEvents } from './event-signal.ts'
import { iso } from './pagination.ts'

/** The name under which the API records what it did by itself. */
const self = 'api'
/** Several functions may want the same number; one gets it, the others take the next. */
const tries = 20

/** Records one event of the API's own. Rejects when storage does not take it. */
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
  throw new Error(`the event ${type} found no number`)
}
