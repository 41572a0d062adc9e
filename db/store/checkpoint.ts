import { open } from 'node:fs/promises'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import { createClient } from '@libsql/client'

/**
 * Moves the disk work of a very large transaction off the event loop. SQLite itself would do it within COMMIT and block
 * for seconds. This file is also the code of the thread that does it. The thread uses the same library, because a
 * second SQLite in the same process would break the first one's locks.
 */
export type Checkpoint = {
  /**
   * Syncs what was written so far to disk, so that COMMIT has little to wait for. Never rejects, because COMMIT syncs
   * as well.
   */
  flush(): Promise<void>
  /**
   * Checkpoints the log into the database while readers and writers continue. Never rejects, because SQLite later does
   * it by itself.
   */
  takeOver(): Promise<void>
}

/** `file`: the path of the database. */
export function checkpointOf(file: string): Checkpoint {
  return {
    async flush() {
      const log = await open(`${file}-wal`, 'r').catch(() => undefined)
      await log
        ?.datasync()
        .catch(() => {})
        .finally(() => log.close())
    },
    takeOver: () =>
      new Promise((done) => {
        const thread = new Worker(new URL(import.meta.url), { workerData: { checkpoint: file } })
        thread.once('error', () => done())
        thread.once('exit', () => done())
      }),
  }
}

if (!isMainThread && typeof workerData?.checkpoint === 'string') {
  const client = createClient({ url: `file:${workerData.checkpoint}` })
  await client.execute('pragma wal_checkpoint(passive)')
  // By now only the disk space remains to be released.
  await client.execute('pragma wal_checkpoint(truncate)')
  client.close()
}
