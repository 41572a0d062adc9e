import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** The data directory belongs to one user and to one API process at a time. */

/** Another process has the directory. */
export class DataDirectoryInUse extends Error {
  override name = 'DataDirectoryInUse'
}

const others = 0o077
/** Below these every file is looked at on each start; below `mail` and `spool`, of which there may be millions, only once. */
const manyFiles = new Set(['mail', 'spool'])

/**
 * Makes the directory, and takes from group and others what an earlier release or a restored backup gave them. What this
 * process and its workers make from now on is for this user alone.
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
    // A symbolic link's target is not ours to change.
    else if (files && !entry.isSymbolicLink()) restrict(path)
  }
}

function restrict(path: string): void {
  try {
    const { mode } = lstatSync(path)
    if ((mode & others) !== 0) chmodSync(path, mode & 0o7777 & ~others)
  } catch (error) {
    // Somebody else's file, or gone meanwhile: the directory above it is closed to others.
    if (!['ENOENT', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
}

/** SQLITE_BUSY. */
const busy = 5

/**
 * Takes the directory for the life of this process. The lock is the kernel's, by way of SQLite (Node has no flock): the path
 * it was reached by does not matter, and kill -9 gives it back at once. Throws DataDirectoryInUse.
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
      `${nameOf(holder)} is running on the data directory ${directory}. Stop it first, or set POSTERN_DATA_DIR.`,
    )
  }
  writeFileSync(holder, `${JSON.stringify({ pid: process.pid })}\n`)
  return () => database.close()
}

/** For the message only: the lock decides. */
function nameOf(holder: string): string {
  try {
    return `Another Postern (process ${Number((JSON.parse(readFileSync(holder, 'utf8')) as { pid: number }).pid)})`
  } catch {
    return 'Another Postern'
  }
}
