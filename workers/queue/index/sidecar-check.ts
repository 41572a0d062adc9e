import { randomInt } from 'node:crypto'
import type Database from 'better-sqlite3'
import type { Rebuild } from './rows.ts'
import { refillSidecar, type SidecarState } from './sidecar.ts'

/** Whether an index and the segments beside its sidecar belong together, and which of them is older. */

/** The index of other segments. */
export class ForeignIndex extends Error {}

/** In the order in which they are numbered in the file. */
const rebuilds: readonly Rebuild[] = ['lost', 'damaged', 'foreign', 'older', 'unsure']

/**
 * Answers why the index has to be rebuilt; `undefined`: it need not be. That it has to be is durable then, so that a process
 * that is killed meanwhile leaves the work to the next one. Throws ForeignIndex.
 */
export function compareWithSidecar(
  db: Database.Database,
  state: SidecarState,
  { replaces, hasMail }: { replaces: Rebuild | undefined; hasMail: boolean },
): Rebuild | undefined {
  const fact = (name: string) => factOf(db, name)
  const incarnation = fact('incarnation')
  const changes = fact('changes') ?? 0
  const kinship = kinshipOf({ incarnation, changes, used: isUsed(db) }, state)
  if (kinship === 'foreign') throw new ForeignIndex()
  if (incarnation !== undefined && !countsHold(db)) throw new Error('found damaged: rows are missing')
  const unfinished = rebuilds[(fact('rebuilding') ?? 0) - 1]
  const rebuild = unfinished ?? replaces ?? (kinship === 'lost' && !hasMail ? undefined : kinship)
  db.transaction(() => {
    if (rebuild && rebuild !== 'older') db.exec('DELETE FROM cursors')
    const behind = state.incarnation !== incarnation || state.changes !== changes
    if (!rebuild && behind) refillSidecar(db)
    begin(db, {
      incarnation: incarnation ?? randomInt(1, 2 ** 47),
      // Counted on, so that what was copied before this start is older than this.
      changes: Math.max(changes, state.changes) + 1,
      rebuilding: rebuild ? rebuilds.indexOf(rebuild) + 1 : 0,
    })
  }).immediate()
  return rebuild
}

function kinshipOf(
  index: { incarnation: number | undefined; changes: number; used: boolean },
  state: SidecarState,
): Rebuild | undefined {
  if (!index.used) return 'lost'
  // Both of a release that gave no names: they are taken for what they say. Only one of them: nobody knows.
  if (state.incarnation === undefined) return index.incarnation === undefined ? undefined : 'unsure'
  if (index.incarnation === undefined) return 'unsure'
  if (index.incarnation !== state.incarnation) return 'foreign'
  return index.changes < state.changes ? 'older' : undefined
}

function begin(
  db: Database.Database,
  { incarnation, changes, rebuilding }: { incarnation: number; changes: number; rebuilding: number },
): void {
  for (const table of ['facts', 'sidecar_facts']) {
    const set = db.prepare(`INSERT OR REPLACE INTO ${table} VALUES (?, ?)`)
    set.run('incarnation', incarnation)
    set.run('changes', changes)
  }
  const set = db.prepare('INSERT OR REPLACE INTO facts VALUES (?, ?)')
  set.run('rebuilding', rebuilding)
  for (const table of ['messages', 'recipients']) set.run(table, countOf(db, table))
}

function factOf(db: Database.Database, name: string): number | undefined {
  return db.prepare('SELECT value FROM facts WHERE name = ?').pluck().get(name) as number | undefined
}

function countOf(db: Database.Database, table: string): number {
  return db.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number
}

/** Something was taken over into this file. */
function isUsed(db: Database.Database): boolean {
  return db.prepare('SELECT 1 FROM cursors UNION ALL SELECT 1 FROM messages LIMIT 1').get() !== undefined
}

/** An older file under a newer write-ahead log is whole to SQLite, and lacks rows or has some too many. */
function countsHold(db: Database.Database): boolean {
  return ['messages', 'recipients'].every((table) => factOf(db, table) === countOf(db, table))
}
