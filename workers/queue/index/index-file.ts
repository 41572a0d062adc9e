import { basename } from 'node:path'
import Database from 'better-sqlite3'
import { countsSchema } from './counts.ts'
import { schema } from './statements.ts'

/** The index's file: of which release it is, and whether it is whole. */

/** Additions that the releases before pass over leave it as it is. */
const schemaVersion = 1
export function openDatabase(path: string): Database.Database {
  const db = new Database(path)
  try {
    db.pragma('journal_mode = WAL')
    db.pragma('synchronous = FULL')
    db.pragma('cache_size = -32768')
    const version = db.pragma('user_version', { simple: true }) as number
    if (version !== 0 && version !== schemaVersion) throw new Error(anotherRelease(db, path, version))
    db.exec(schema + countsSchema('main'))
    db.pragma(`user_version = ${schemaVersion}`)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/** `sidecar`: beside the segments. `hasMail`: whether there are any with a message in them. */
export type IndexFiles = { path: string; sidecar: string; release: string; hasMail: boolean; now: number }

/** Left beside a file that turned out damaged while in use: the next start moves it aside. */
export function damagedMarkerPath(path: string): string {
  return `${path}.damaged`
}

/** It is no damage: nothing is moved, nothing is sent again. */
function anotherRelease(db: Database.Database, path: string, version: number): string {
  const known = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'used_by'").get()
  const release = known && db.prepare('SELECT release FROM used_by ORDER BY at DESC LIMIT 1').pluck().get()
  return (
    `${path} has schema version ${version}, this release of Postern knows version ${schemaVersion}: it was made by ` +
    `${release ? `another release (last used by ${release})` : 'another release'}. Nothing was changed. Start that release, ` +
    `or move ${basename(path)}, ${basename(path)}-wal and ${basename(path)}-shm aside: the queue is rebuilt from the spool then, and some mail is sent again`
  )
}

export function isDamage(error: unknown): boolean {
  const { code, message } = error as { code?: string; message?: string }
  return (
    /^SQLITE_(CORRUPT|NOTADB)/.test(code ?? '') ||
    /^found damaged/.test(message ?? '') ||
    /^no such (table|column)|malformed|has no column/.test(message ?? '')
  )
}
