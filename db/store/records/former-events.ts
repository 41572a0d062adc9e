import type { Client } from '@libsql/client'

/**
 * Events of a release that kept them as rows. They are handed over in the order in which they came, so that a start that
 * was interrupted hands over the same pages again.
 */

/** An event of one worker. `json`: its own fields. `isLogged`: whether the log shows it. */
export type FormerEvent = { worker: string; n: number; at: number; type: string; json: string; isLogged: boolean }

/** Stores a page durably. May be called again with the same page. */
export type ExportEvents = (events: readonly FormerEvent[]) => Promise<void>

const pageRows = 5_000

/** Hands over all events, if the database still has a table of them. Rejects if there are some and nobody takes them. */
export async function exportFormerEvents(client: Client, take: ExportEvents | undefined): Promise<void> {
  const { rows: tables } = await client.execute("select 1 from sqlite_schema where type = 'table' and name = 'events'")
  if (tables.length === 0) return
  for (let after = 0; ; ) {
    const { rows } = await client.execute({
      sql: "select seq, worker, n, at, type, json, text <> '' as isLogged from events where seq > ? order by seq limit ?",
      args: [after, pageRows],
    })
    if (rows.length === 0) return
    if (!take)
      throw new Error('The database has events of an earlier release, and no log store was given to take them.')
    await take(
      rows.map(({ worker, n, at, type, json, isLogged }) => ({
        worker: String(worker),
        n: Number(n),
        at: Number(at),
        type: String(type),
        json: String(json),
        isLogged: Number(isLogged) === 1,
      })),
    )
    after = Number(rows.at(-1)?.seq)
  }
}
