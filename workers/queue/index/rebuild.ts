import type Database from 'better-sqlite3'
import { deferred, held, type RecipientState } from '../message/message.ts'
import type { MessageRow } from './rows.ts'
import { tidySidecar } from './sidecar.ts'

/**
 * Brings an index that was lost, or put back from a backup, together with the segments. All segments are read, copies too;
 * nothing is delivered and no segment is given back before the last one has been read. A scan that is cut short begins
 * again from the first segment: what it took in is known by then.
 */

/** Messages of the segments. `passed`: it lies before the cursor that the index came with, so the index decided about it. */
export type Scanned = { message: MessageRow; passed: boolean }[]

/** `missing`: messages of the index that are in no segment. */
export type Rebuilt = { missing: number }

/** `now`: by the queue's clock. */
type Into = { now: number; seen: Set<number>; insert(message: MessageRow): boolean }

/** No schedule is longer; a time beyond it is by the clock of an index that is lost. */
const longestPauseMs = 27 * 3_600_000

/** Answers how many messages were not known before. */
export function adopt(db: Database.Database, scanned: Scanned, { now, seen, insert }: Into): number {
  const numberOf = db.prepare('SELECT n FROM messages WHERE id = ?').pluck()
  const relocate = db.prepare('UPDATE messages SET location = ?, segment = ?, octets = ? WHERE n = ?')
  const recall = recallFrom(db, now)
  let added = 0
  for (const { message, passed } of scanned) {
    const n = numberOf.get(message.id) as number | undefined
    if (n !== undefined) {
      relocate.run(message.location, message.segment, message.bytes, n)
      seen.add(n)
    } else if (!passed) {
      insert(recall(message))
      seen.add(message.n)
      added++
    }
  }
  return added
}

/** Tries, holds, the warning and the route, as the segments' sidecar has them. */
function recallFrom(db: Database.Database, now: number): (message: MessageRow) => MessageRow {
  const recipients = db.prepare('SELECT r, state, tries, next_at, cause FROM known_recipients WHERE id = ?').raw()
  const ofMessage = db.prepare('SELECT warned, rerouted FROM known_messages WHERE id = ?').raw()
  return (message) => {
    const known = new Map(
      (recipients.all(message.id) as [number, RecipientState, number, number, string][]).map(([r, ...rest]) => [
        r,
        rest,
      ]),
    )
    const [warned, rerouted] = (ofMessage.get(message.id) as [number, string] | undefined) ?? [0, '']
    return {
      ...message,
      warned: warned === 1,
      rerouted,
      recipients: message.recipients.map((row) => {
        const [state, tries, nextAt, cause] = known.get(row.r) ?? []
        if (state === undefined || tries === undefined || nextAt === undefined || cause === undefined) return row
        return {
          ...row,
          state: state === held ? held : deferred,
          tries,
          nextAt: nextAt > now + longestPauseMs ? now : nextAt,
          cause,
        }
      }),
    }
  }
}

/**
 * What an older index has and no segment does was finished since, or its segment would be there: it goes. Of an index of
 * which that is not known it stays, and is reported as damaged when its turn comes.
 */
export function finishRebuild(
  db: Database.Database,
  { cursors, keepMissing }: { cursors: [writer: string, cursor: string][]; keepMissing: boolean },
  seen: ReadonlySet<number>,
): Rebuilt {
  const missing = (db.prepare('SELECT n FROM messages').pluck().all() as number[]).filter((n) => !seen.has(n))
  if (!keepMissing) {
    const steps = ['recipients', 'overlays', 'messages'].map((table) => db.prepare(`DELETE FROM ${table} WHERE n = ?`))
    for (const n of missing) for (const step of steps) step.run(n)
  }
  db.exec("DELETE FROM finished; DELETE FROM cursors; UPDATE facts SET value = 0 WHERE name = 'rebuilding'")
  const insert = db.prepare('INSERT INTO cursors VALUES (?, ?)')
  for (const cursor of cursors) insert.run(...cursor)
  tidySidecar(db)
  return { missing: missing.length }
}
