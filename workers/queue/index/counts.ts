import { randomInt } from 'node:crypto'
import type Database from 'better-sqlite3'

/**
 * How many recipients were received and what became of them, counted in the index's own transactions and kept with the
 * segments as well: in each of them received = delivered + bounced + discarded + rows of recipients.
 */
export type Counted = { messages: number; received: number; delivered: number; bounced: number; discarded: number }

export type FinalOutcome = 'delivered' | 'bounced' | 'discarded'

export function nothingCounted(): Counted {
  return { messages: 0, received: 0, delivered: 0, bounced: 0, discarded: 0 }
}

export function addCounts(to: Counted, more: Counted): void {
  to.messages += more.messages
  to.received += more.received
  to.delivered += more.delivered
  to.bounced += more.bounced
  to.discarded += more.discarded
}

/** `id` and `since`: changed, counting started at 0. */
type Stored = Counted & { id: number; since: number }

const columns = 'id, since, messages, received, delivered, bounced, discarded'

export const countsSchema = (database: string) => `
CREATE TABLE IF NOT EXISTS ${database}.counts (
  id INTEGER NOT NULL, since INTEGER NOT NULL, messages INTEGER NOT NULL, received INTEGER NOT NULL,
  delivered INTEGER NOT NULL, bounced INTEGER NOT NULL, discarded INTEGER NOT NULL
) STRICT;`

export class CountsTable {
  readonly #db: Database.Database
  #stored: Stored
  #changed = true
  /** Counting begins with this index. */
  readonly isNew: boolean

  /**
   * Goes on from the index, or from the copy beside the segments where that is newer, or begins: then what waits was
   * received. `preferSidecar`: the index is new, or was put back from a backup.
   */
  constructor(db: Database.Database, { now, preferSidecar }: { now: number; preferSidecar: boolean }) {
    this.#db = db
    const of = (database: string) => db.prepare(`SELECT ${columns} FROM ${database}.counts`).get() as Stored | undefined
    const [index, sidecar] = [of('main'), of('sidecar')]
    const found = preferSidecar ? (sidecar ?? index) : (index ?? sidecar)
    this.#stored = found ?? { id: randomInt(1, 2 ** 47), since: now, ...nothingCounted() }
    this.isNew = !found
  }

  get all(): Stored {
    return this.#stored
  }

  add(more: Counted): void {
    addCounts(this.#stored, more)
    this.#changed = true
  }

  /** After rows came or went that nobody counted: what waits was received, no more and no less. */
  balance(waiting: number): void {
    const { delivered, bounced, discarded } = this.#stored
    this.#stored.received = delivered + bounced + discarded + waiting
    this.#changed = true
  }

  /** In the transaction that changed what is counted. */
  write(): void {
    if (!this.#changed) return
    const { id, since, messages, received, delivered, bounced, discarded } = this.#stored
    for (const database of ['main', 'sidecar']) {
      const values = [id, since, messages, received, delivered, bounced, discarded]
      const { changes } = this.#prepared(database).update.run(...values)
      if (changes === 0) this.#prepared(database).insert.run(...values)
    }
    this.#changed = false
  }

  /** After a transaction that was undone. */
  reload(): void {
    const stored = this.#db.prepare(`SELECT ${columns} FROM main.counts`).get() as Stored | undefined
    if (stored) this.#stored = stored
    this.#changed = false
  }

  readonly #statements = new Map<string, { update: Database.Statement; insert: Database.Statement }>()

  #prepared(database: string) {
    let statements = this.#statements.get(database)
    if (!statements) {
      const set = columns.replaceAll(/\w+/g, (name) => `${name} = ?`)
      statements = {
        update: this.#db.prepare(`UPDATE ${database}.counts SET ${set}`),
        insert: this.#db.prepare(`INSERT INTO ${database}.counts (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?)`),
      }
      this.#statements.set(database, statements)
    }
    return statements
  }
}
