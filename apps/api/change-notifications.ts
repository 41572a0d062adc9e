import { headRevision, markAnnounced, unannounced } from '@postern/store/control/revisions.ts'
import { isLive, listWorkers } from '@postern/store/records/workers.ts'
import type { Dependencies } from './dependencies.ts'

/**
 * Notifies every live worker of a newer revision. Never rejects: failed notifications stay in the outbox, and the
 * sweeper sends them again. Workers also poll, so notifications only make changes arrive faster.
 * @returns how many workers were notified
 */
export async function sendChangeNotifications(parts: Dependencies, revision: number): Promise<number> {
  try {
    const workers = await listWorkers(parts.records)
    const queues = workers
      .filter((worker) => isLive(worker, parts.now()))
      .map(({ report }) => report?.queueUrl)
      .filter((url) => url !== undefined)
    const sent = await Promise.allSettled(queues.map((url) => parts.notifyWorkers.send(url, revision)))
    const failed = sent.filter((result) => result.status === 'rejected')
    if (failed.length === 0) await markAnnounced(parts.control, revision)
    else
      parts.log.warn(
        { revision, error: String(failed[0]?.reason) },
        'a worker could not be notified of the revision; will retry',
      )
    return sent.length - failed.length
  } catch (error) {
    parts.log.warn({ revision, error: String(error) }, 'notifications of the revision failed; will retry')
    return 0
  }
}

/** Sends again what a crashed or interrupted process left in the outbox. @returns how many workers were notified */
export async function resendChangeNotifications(parts: Dependencies): Promise<number> {
  if ((await unannounced(parts.control)) === undefined) return 0
  return sendChangeNotifications(parts, await headRevision(parts.control))
}
