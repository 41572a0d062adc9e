import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { SpoolFailure, SpoolInUse } from '../spool.ts'

/**
 * Locks a directory for one process. Node has no flock, so this uses SQLite's lock on an empty database. The kernel
 * holds that lock, so kill -9 releases it at once, and a stale file or a reused pid has no effect.
 */
export type Lock = {
  release(): void
}

/** SQLITE_BUSY. */
const busy = 5

/** Keeps a reference to each database. Without one it would be garbage-collected and closed, and its lock released. */
const held = new Set<DatabaseSync>()

/**
 * Locks the directory, and creates it if missing. Throws SpoolInUse if another process, or another holder in this
 * process, has it.
 */
export function lockDirectory(directory: string): Lock {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const path = join(directory, 'lock')
  const database = new DatabaseSync(path, { timeout: 0 })
  try {
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
  } catch (cause) {
    database.close()
    if ((cause as { errcode?: number }).errcode !== busy) {
      throw new SpoolFailure(`lock "${path}": ${(cause as Error).message}; remove it if no worker is running`, {
        cause,
      })
    }
    throw new SpoolInUse(`${directory} is in use by ${holderOf(directory)}: stop it first, or set POSTERN_DATA_DIR`, {
      cause,
    })
  }
  held.add(database)
  note(directory)
  return {
    release: () => {
      if (held.delete(database)) database.close()
    },
  }
}

const holderFile = (directory: string) => join(directory, 'lock.pid')

/** Notes this process for the next one's error message only. A full disk does not prevent the lock. */
function note(directory: string): void {
  try {
    writeFileSync(holderFile(directory), `${process.pid}\n`, { mode: 0o600 })
  } catch {
    // Without the note, the message does not name the process.
  }
}

function holderOf(directory: string): string {
  try {
    return `process ${Number.parseInt(readFileSync(holderFile(directory), 'latin1'), 10) || '(unknown)'}`
  } catch {
    return 'another process'
  }
}
