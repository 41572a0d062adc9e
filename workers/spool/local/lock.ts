import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { SpoolFailure, SpoolInUse } from '../spool.ts'

/**
 * Holds a directory for one process. Node has no flock; SQLite's lock on an empty database is one the kernel keeps, so
 * kill -9 gives it back at once, and neither a file that is left over nor a reused pid means anything.
 */
export type Lock = {
  release(): void
}

/** SQLITE_BUSY. */
const busy = 5

/** A database that nobody refers to is collected and closed, and its lock gone. */
const held = new Set<DatabaseSync>()

/** Makes the directory when it is missing. Throws SpoolInUse when another process, or another holder in this one, has it. */
export function lockDirectory(directory: string): Lock {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const path = join(directory, 'lock')
  const database = new DatabaseSync(path, { timeout: 0 })
  try {
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
  } catch (cause) {
    database.close()
    if ((cause as { errcode?: number }).errcode !== busy) {
      throw new SpoolFailure(`lock "${path}": ${(cause as Error).message}; remove it if no worker runs`, { cause })
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

/** For the error message of the next one only; a disk that is full does not keep anybody from the lock. */
function note(directory: string): void {
  try {
    writeFileSync(holderFile(directory), `${process.pid}\n`, { mode: 0o600 })
  } catch {
    // Then the message does not name the process.
  }
}

function holderOf(directory: string): string {
  try {
    return `process ${Number.parseInt(readFileSync(holderFile(directory), 'latin1'), 10) || '(unknown)'}`
  } catch {
    return 'another process'
  }
}
