import { type EventBatch, maxBatchBytes, maxBatchEvents } from '@postern/contract/worker-protocol.ts'
import type { EventRange } from '@postern/log/file-names.ts'
import type { LoggedEvent } from '@postern/log/search.ts'
import { yieldToEventLoop } from '@postern/store/database.ts'
import { ingest, storedUpTo } from '@postern/store/records/ingest.ts'
import type { Dependencies } from '../dependencies.ts'
import { BatchChecker } from '../event-batch.ts'
import { invalid, ProblemError } from '../problem.ts'
import { recentEvents } from '../recent-events.ts'
import { readBytes } from '../request.ts'
import { loggedEvent, sentEvent } from '../sent-event.ts'
import type { Call } from '../write-revision.ts'
import { workerOf } from './workers.ts'

/** Takes events from workers, exactly once by worker, log and number. */

/** Returns how far storage has a log of this worker. */
export async function eventsStored(call: Call, log: string): Promise<{ acknowledged: number }> {
  return { acknowledged: await storedUpTo(call.parts.records, workerOf(call).workerId, log) }
}

/**
 * Stores a batch as it came, durably. A batch after a gap is not stored: the answer says from
 * where the worker has to go on.
 */
export async function takeEvents(
  call: Call,
  { log, after, first, last }: Omit<EventBatch, 'content'>,
  request: Request,
): Promise<{ acknowledged: number }> {
  const { parts } = call
  const { workerId: worker, service } = workerOf(call)
  checkNumbers({ after, first, last })
  const stored = await storedUpTo(parts.records, worker, log)
  if (after > stored || last <= stored) return { acknowledged: stored }
  const content = await readBytes(request, maxBatchBytes.compressed)
  const check = new BatchChecker({ first, last, service })
  await parts.eventStore.unpack(content, (lines) => check.take(lines))
  const hour = check.end()
  // A crash after this line leaves a file that the worker sends again. It is then stored already.
  await parts.eventStore.append({ worker, log, first, last, hour, content }).catch((error: unknown) => {
    parts.log.warn({ worker, error: String(error) }, 'the log store does not take events; workers keep them')
    throw new ProblemError(503, 'The log store does not take the batch. Keep it and send it again.')
  })
  const acknowledged = await ingest(parts.records, { worker, log, last })
  const fresh = { worker, log, first: Math.max(first, stored + 1), last }
  recentEvents(parts).add({ ...fresh, read: () => eventsIn(parts, content, fresh) })
  await yieldToEventLoop()
  return { acknowledged }
}

async function eventsIn(
  { eventStore }: Dependencies,
  content: Uint8Array,
  { worker, log, first }: EventRange,
): Promise<LoggedEvent[]> {
  const events: LoggedEvent[] = []
  await eventStore.unpack(content, (lines) => {
    for (const line of new TextDecoder().decode(lines).split('\n')) {
      if (line === '') continue
      const event = sentEvent(line)
      if (event.n >= first) events.push(loggedEvent({ worker, log }, event))
    }
  })
  return events
}

/** A log never has a hole as large as this. */
const maxHole = 100_000_000

function checkNumbers({ after, first, last }: { after: number; first: number; last: number }): void {
  if (first <= after) throw invalid([{ path: 'first', message: `first is ${first} but must be above after, ${after}` }])
  if (first - after > maxHole)
    throw invalid([{ path: 'first', message: `first is ${first}, too far ahead of after, ${after}` }])
  if (last < first || last - first >= maxBatchEvents)
    throw invalid([{ path: 'last', message: `last is ${last} but must be ${first} to ${first + maxBatchEvents - 1}` }])
}
