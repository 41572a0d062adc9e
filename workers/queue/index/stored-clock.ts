import type Database from 'better-sqlite3'
import type { ClockReading } from '../message/queue-clock.ts'

/** The queue's clock as the index keeps it from one process to the next: the reading of its last commit. */
export class StoredClock {
  readonly #write: Database.Statement
  readonly #read: Database.Statement

  constructor(db: Database.Database) {
    this.#write = db.prepare("INSERT OR REPLACE INTO facts VALUES ('clock.' || ?, ?)")
    this.#read = db.prepare("SELECT value FROM facts WHERE name = 'clock.' || ?").pluck()
  }

  /** `undefined`: the index is new, or of a release that had no clock. */
  read(): ClockReading | undefined {
    const [wall, now, waited] = ['wall', 'now', 'waited'].map((name) => this.#read.get(name) as number | undefined)
    return wall === undefined || now === undefined || waited === undefined ? undefined : { wall, now, waited }
  }

  keep({ wall, now, waited }: ClockReading): void {
    for (const [name, value] of Object.entries({ wall, now, waited })) this.#write.run(name, value)
  }
}
