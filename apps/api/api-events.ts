import { cutFields } from '@postern/contract/event-lengths.ts'
import type { EventFields, EventType } from '@postern/contract/events.ts'
import { hourOf } from '@postern/log/file-names.ts'
import type { Dependencies } from './dependencies.ts'
import { iso } from './pagination.ts'
import { recentEvents } from './recent-events.ts'
import { loggedEvent } from './sent-event.ts'

/** The name under which the API records its own events. */
const self = 'api'

/** This process's own log: its id, and the number of its last event. */
const logs = new WeakMap<Dependencies, { id: string; last: number }>()

/** Records one event of the API itself. Rejects if it cannot be stored. */
export async function recordApiEvent<T extends EventType>(
  parts: Dependencies,
  type: T,
  given: EventFields<T>,
): Promise<void> {
  const log = logs.get(parts) ?? { id: newLogId(), last: 0 }
  logs.set(parts, log)
  const n = ++log.last
  const now = parts.now()
  const event = { n, at: iso(now), type, ...cutFields(type, given) }
  const content = await parts.eventStore.pack(`${JSON.stringify(event)}\n`)
  await parts.eventStore.append({ worker: self, log: log.id, first: n, last: n, hour: hourOf(now), content })
  const range = { worker: self, log: log.id, first: n, last: n }
  recentEvents(parts).add({ ...range, read: async () => [loggedEvent(range, event)] })
}

function newLogId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(6))
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}
