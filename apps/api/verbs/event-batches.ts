import { type PosternEvent, parseEvent } from '@postern/contract/events.ts'
import { type EventBatch, maxBatchBytes, maxBatchEvents } from '@postern/contract/worker-protocol.ts'
import { yieldToEventLoop } from '@postern/store/database.ts'
import { ingest, storedUpTo } from '@postern/store/records/ingest.ts'
import { recordApiEvent } from '../api-events.ts'
import { loggedEvent, readBatch, type SentEvent } from '../event-batch.ts'
import { signalEvents } from '../event-signal.ts'
import { invalid } from '../problem.ts'
import { readBytes } from '../request.ts'
import type { Call } from '../write-revision.ts'
import { workerOf } from './workers.ts'

/** Takes events from workers, exactly once by worker, log and number. */

/** Returns how far storage has a log of this worker. */
export async function eventsStored(call: Call, log: string): Promise<{ acknowledged: number }> {
  return { acknowledged: await storedUpTo(call.parts.records, workerOf(call).workerId, log) }
}

/**
 * Stores a batch as it came, durably, and then its effects. A batch after a gap is not stored: the answer says from
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
  const { hour, events } = readBatch(await parts.eventStore.unpack(content), { first, last, service })
  // A crash after this line leaves a file that the worker sends again. It is then stored already.
  await parts.eventStore.append({ worker, log, first, last, hour, content })
  const { acknowledged, repeated } = await ingest(parts.records, { worker, log, last }, events.flatMap(understood))
  const fresh = events.filter(({ n }) => n > stored)
  signalEvents(
    parts,
    fresh.map((event) => loggedEvent({ worker, log }, event)),
  )
  await tellDuplicates(call, { worker, repeated })
  await yieldToEventLoop()
  return { acknowledged }
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

/** An event of a type or shape that this version does not know is kept as received and has no effect. */
function understood(event: SentEvent): PosternEvent[] {
  try {
    return [parseEvent(event)]
  } catch {
    return []
  }
}

/** Limit per batch. The books count all duplicates. */
const maxToldOf = 10

async function tellDuplicates(
  { parts }: Call,
  { worker, repeated }: { worker: string; repeated: ReadonlyMap<string, string[]> },
): Promise<void> {
  for (const [messageId, recipients] of [...repeated].slice(0, maxToldOf)) {
    // The batch is already stored. If this event cannot be stored, that is no reason for the worker to send the batch
    // again.
    await recordApiEvent(parts, 'delivery.duplicate', { messageId, recipients, worker }).catch((error: unknown) =>
      parts.log.warn({ error: String(error), messageId }, 'could not record a duplicate delivery'),
    )
  }
}
