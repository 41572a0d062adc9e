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
  if (!(await hasEvents(client))) return
  for (let after = 0; ; ) {
    const page = {
      sql: "select seq, worker, n, at, type, json, text <> '' as isLogged from events where seq > ? order by seq limit ?",
      args: [after, pageRows],
    }
    // Another process that started at the same time may have removed the table, after it handed over all events.
    const found = await client.execute(page).catch(async (error: unknown) => {
      if (await hasEvents(client)) throw error
    })
    const rows = found?.rows ?? []
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

async function hasEvents(client: Client): Promise<boolean> {
  const { rows } = await client.execute("select 1 from sqlite_schema where type = 'table' and name = 'events'")
  return rows.length > 0
}
