import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** A data directory belongs to one user and to one API process at a time. */

/** Another process uses the directory. */
export class DataDirectoryInUse extends Error {
  override name = 'DataDirectoryInUse'
}

const others = 0o077
/**
 * These directories may hold millions of files, so their files are checked only once. All other files are checked at
 * each start.
 */
const manyFiles = new Set(['mail', 'spool'])

/**
 * Creates the directory. Removes group and other permissions that an earlier release or a restored backup left behind.
 * The umask keeps new files of this process and its workers private to this user.
 */
export function openDataDirectory(directory: string): void {
  process.umask(others)
  mkdirSync(join(directory, 'db'), { recursive: true })
  const wasOpen = (lstatSync(realpathSync(directory)).mode & others) !== 0
  makePrivate(realpathSync(directory), { files: true, wasOpen })
}

function makePrivate(directory: string, { files, wasOpen }: { files: boolean; wasOpen: boolean }): void {
  restrict(directory)
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) makePrivate(path, { files: wasOpen || (files && !manyFiles.has(entry.name)), wasOpen })
    // Do not change the target of a symbolic link.
    else if (files && !entry.isSymbolicLink()) restrict(path)
  }
}

function restrict(path: string): void {
  try {
    const { mode } = lstatSync(path)
    if ((mode & others) !== 0) chmodSync(path, mode & 0o7777 & ~others)
  } catch (error) {
    // The file belongs to another user or is gone. The directory above it is private anyway.
    if (!['ENOENT', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
}

/** The code of SQLITE_BUSY. */
const busy = 5

/**
 * Locks the directory for the life of this process. SQLite holds a kernel lock, because Node has no flock. The lock
 * works whatever path was used to reach the directory, and kill -9 releases it at once. Throws DataDirectoryInUse.
 */
export function lockDataDirectory(directory: string): () => void {
  const holder = join(directory, 'db', 'api.json')
  const database = new DatabaseSync(join(directory, 'db', 'api.lock'), { timeout: 0 })
  try {
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    if ((error as { errcode?: number }).errcode !== busy) throw error
    throw new DataDirectoryInUse(
      `${nameOf(holder)} is using the data directory ${directory}. Stop it first, or set POSTERN_DATA_DIR.`,
    )
  }
  writeFileSync(holder, `${JSON.stringify({ pid: process.pid })}\n`)
  return () => database.close()
}

/** Only for the message. The lock decides. */
function nameOf(holder: string): string {
  try {
    return `Another Postern (process ${Number((JSON.parse(readFileSync(holder, 'utf8')) as { pid: number }).pid)})`
  } catch {
    return 'Another Postern'
  }
}
