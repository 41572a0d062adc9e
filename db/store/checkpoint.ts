import { open } from 'node:fs/promises'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import { createClient } from '@libsql/client'

/**
 * What a very large transaction leaves to the disk, off the event loop: SQLite itself would do it within COMMIT, for seconds.
 * This file is also the thread that does it, with the same library: another one in the same process would break its locks.
 */
export type Checkpoint = {
  /** What was written so far is on the disk; COMMIT then has little to wait for. Never rejects: COMMIT sees to it as well. */
  flush(): Promise<void>
  /** Takes the log over into the database. Readers and writers go on. Never rejects: SQLite does it again by itself. */
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
  // Nothing is left to do by now, but for giving back the disk.
  await client.execute('pragma wal_checkpoint(truncate)')
  client.close()
}
