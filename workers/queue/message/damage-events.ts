import type { EventFields } from '@postern/contract/events.ts'
import type { RecordEvent } from '@postern/runtime/worker.ts'

/** Whoever meets a damaged message tells of it: taking over, delivery, reclaim. One event a message and process is enough. */
export function damageOncePerMessage(record: RecordEvent): RecordEvent {
  const told = new Set<string>()
  return (type, fields) => {
    if (type === 'message.damaged') {
      const { messageId, where } = fields as EventFields<'message.damaged'>
      const name = messageId ?? where
      if (told.has(name)) return
      told.add(name)
    }
    record(type, fields)
  }
}
