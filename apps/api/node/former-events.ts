import { hourOf } from '@postern/log/file-names.ts'
import type { FormerEvent } from '@postern/store/records/former-events.ts'
import type { EventStore } from '../dependencies.ts'

/** The log of events that an earlier release kept as rows. */
const log = '000000000000'

/**
 * Writes events of an earlier release into the log store, numbered anew. An interrupted start writes the same files
 * again, which are then there already.
 */
export function exporterTo(store: Pick<EventStore, 'append' | 'pack'>) {
  const last = new Map<string, number>()
  return async (events: readonly FormerEvent[]): Promise<void> => {
    const batches = Map.groupBy(events, ({ worker, at }) => `${worker} ${hourOf(at)}`)
    for (const batch of batches.values()) {
      const { worker, at } = batch[0] as FormerEvent
      const first = (last.get(worker) ?? 0) + 1
      const lines = batch.map((event, i) => `${lineOf(event, first + i)}\n`)
      last.set(worker, first + batch.length - 1)
      const content = await store.pack(lines.join(''))
      await store.append({ worker, log, first, last: first + batch.length - 1, hour: hourOf(at), content })
    }
  }
}

function lineOf({ at, type, json, isLogged }: FormerEvent, n: number): string {
  const fields = JSON.parse(json) as object
  return JSON.stringify({ n, at: new Date(at).toISOString(), type, ...fields, ...(isLogged ? {} : { log: false }) })
}
