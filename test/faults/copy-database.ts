import { rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'

/** Copies a SQLite database, even one in use, and replaces the target. Waits at most five seconds for a lock. */
export function copyDatabase(from: string, to: string): void {
  rmSync(to, { force: true })
  const database = new DatabaseSync(from, { readOnly: true, timeout: 5_000 })
  database.exec(`VACUUM INTO '${to}'`)
  database.close()
}
