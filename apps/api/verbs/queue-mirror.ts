import type { QueuePage } from '@postern/contract/queue-mirror.ts'
import type { WriteResult } from '@postern/contract/views.ts'
import { yieldToEventLoop } from '@postern/store/database.ts'
import { storeQueuePage, tellEverythingAgain } from '@postern/store/records/queue-mirror.ts'
import { ProblemError } from '../problem.ts'
import { recentEvents } from '../recent-events.ts'
import { type Call, writeRevision } from '../write-revision.ts'
import { workerOf } from './workers.ts'

/** Stores what a Queue Manager tells of its waiting mail. Throws 409 if it must tell everything again. */
export async function takeQueuePage(call: Call, page: QueuePage): Promise<{ position: number }> {
  const { parts } = call
  const { workerId: queueManager, service } = workerOf(call)
  if (service !== 'queue') throw new ProblemError(403, 'This is for the service queue only.')
  const stored = await storeQueuePage(parts.records, { queueManager, page, now: parts.now() })
  if (stored.kind === 'expected')
    throw new ProblemError(
      409,
      `The API has what ${queueManager} told up to position ${stored.position}, not ${page.from}. Tell everything again.`,
    )
  recentEvents(parts).wake()
  await yieldToEventLoop()
  return { position: stored.position }
}

/** Has all Queue Managers tell again what waits. What was told before stays until they have. */
export async function reconcileQueue(call: Call): Promise<WriteResult> {
  const about = { action: 'queue.reconcile', kind: 'queue', entity: 'the whole queue', always: true }
  const result = await writeRevision(call, about, async () => ({}))
  if (!call.write.dryRun) await tellEverythingAgain(call.parts.records)
  return result
}
