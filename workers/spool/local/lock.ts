import { DatabaseSync } from 'node:sqlite'
import { SpoolFailure, SpoolInUse } from '../spool.ts'

/**
 * Holds a writer's name for one process. Node has no flock; SQLite's lock on an empty database is one the kernel keeps,
 * so kill -9 gives it back at once and a reused pid means nothing.
 */
export interface Lock {
  release(): void
}

/** SQLITE_BUSY. */
const busy = 5

/** Throws SpoolInUse when another process, or another writer in this one, holds the name. */
export function takeLock(path: string, name: string): Lock {
  const database = new DatabaseSync(path, { timeout: 0 })
  try {
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
  } catch (cause) {
    database.close()
    if ((cause as { errcode?: number }).errcode !== busy) {
      throw new SpoolFailure(`spool lock "${path}": ${(cause as Error).message}; remove it if no worker runs`, {
        cause,
      })
    }
    throw new SpoolInUse(`spool writer "${name}" is in use by another process`, { cause })
  }
  return { release: () => database.close() }
}
