import { type Client, createClient } from '@libsql/client'
import { drizzle } from 'drizzle-orm/libsql'
import type { Checkpoint } from './checkpoint.ts'
import type { Database } from './database.ts'
import { GuardedClient, sqliteCode } from './guarded-client.ts'
import { controlMigrations, type Migration, recordsMigrations } from './migrations/embedded.ts'
import { type ExportEvents, exportFormerEvents } from './records/former-events.ts'

/** The database cannot be used in its current state. Nothing in it was changed. The message says what to do. */
export class DatabaseError extends Error {
  override name = 'DatabaseError'
}

export type DatabaseAddress = {
  /** `file:/path/settings.db`, or `libsql:`, `https:`, `http:` for a libSQL server. */
  url: string
  authToken?: string | undefined
  /** Sends the requests to a libSQL server, with a token of its own. */
  fetch?: ((request: Request) => Promise<Response>) | undefined
  /** For a database file in a Node process: keeps very large transactions from blocking others. */
  checkpoint?: Checkpoint | undefined
}

const waitForLockMs = 5_000
const quickCheckBytes = 256 * 1024 * 1024

/** Opens the control plane's database and brings its tables up to date. Throws a DatabaseError. */
export function openControl(address: DatabaseAddress): Promise<Database> {
  return open(address, controlMigrations, 'control')
}

/**
 * Opens the records' database. `exportEvents` takes the events that an earlier release kept in it, before they are
 * removed. Throws a DatabaseError if there are any and nobody takes them.
 */
export function openRecords(address: DatabaseAddress, exportEvents?: ExportEvents): Promise<Database> {
  return open(address, recordsMigrations, 'records', (client) => exportFormerEvents(client, exportEvents))
}

async function open(
  address: DatabaseAddress,
  migrations: Migration[],
  name: string,
  beforeMigrations?: (client: Client) => Promise<void>,
): Promise<Database> {
  const isFile = address.url.startsWith('file:')
  let client: Client | undefined
  try {
    client = new GuardedClient(
      createClient({
        url: address.url,
        ...(address.authToken ? { authToken: address.authToken } : {}),
        ...(address.fetch ? { fetch: address.fetch } : {}),
        ...(isFile ? { timeout: waitForLockMs } : {}),
      }),
      isFile ? address.checkpoint : undefined,
    )
    if (isFile) {
      await refuseDamage(client, address.url)
      // WAL mode is stored in the file, so all later connections use it.
      await client.execute('pragma journal_mode = wal')
    }
    await migrate(client, { migrations, table: `postern_${name}_migrations`, beforeMigrations })
  } catch (error) {
    client?.close()
    throw explained(error, address.url)
  }
  return drizzle(client) as Database
}

/**
 * Checks every page of a small database. For a large one, a full check would delay the start by minutes, so only its
 * header is checked.
 */
async function refuseDamage(client: Client, url: string): Promise<void> {
  const [size] = (await client.execute('select page_count * page_size from pragma_page_count, pragma_page_size')).rows
  if (Number(size?.[0]) > quickCheckBytes) return
  const [check] = (await client.execute('pragma quick_check(1)')).rows
  if (check?.[0] !== 'ok') throw new DatabaseError(damaged(url, String(check?.[0])))
}

type MigrateOptions = {
  migrations: Migration[]
  /** Has the names of those that were applied. */
  table: string
  beforeMigrations: ((client: Client) => Promise<void>) | undefined
}

/**
 * Applies missing migrations, each completely or not at all. Several processes may do it at once, as functions that start
 * together do: one of them applies a migration, and the others go on after it. If none is missing, this is one call.
 */
async function migrate(client: Client, { migrations, table, beforeMigrations }: MigrateOptions): Promise<void> {
  const found = await applied(client, table)
  refuseNewer(found, migrations)
  if (migrations.every(({ name }) => found.has(name))) return
  await beforeMigrations?.(client)
  await client.execute(`create table if not exists ${table} (name text primary key, at integer not null)`)
  const done = await applied(client, table)
  for (const migration of migrations.filter(({ name }) => !done.has(name))) {
    // The name comes first, so that a second process fails before it changes a table.
    const own = { sql: `insert into ${table} (name, at) values (?, ?)`, args: [migration.name, Date.now()] }
    try {
      await client.batch([own, ...migration.statements], 'write')
    } catch (error) {
      if (!(await applied(client, table)).has(migration.name)) throw error
    }
  }
}

async function applied(client: Client, table: string): Promise<Set<string>> {
  try {
    return new Set((await client.execute(`select name from ${table}`)).rows.map(({ name }) => String(name)))
  } catch (error) {
    if (error instanceof Error && error.message.includes('no such table')) return new Set()
    throw error
  }
}

/**
 * A migration whose name begins with `expand-` only adds what an earlier release does not look at. So the release before
 * it may start again after the deployment was rolled back.
 */
const isExpansion = (name: string) => /^\d+_expand-/.test(name)

function refuseNewer(found: ReadonlySet<string>, migrations: Migration[]): void {
  const unknown = [...found].find((step) => !migrations.some(({ name }) => name === step) && !isExpansion(step))
  if (unknown === undefined) return
  throw new DatabaseError(
    `The database was created by a newer version of Postern (it has the migration ${unknown}). Start that version, or restore a backup made before it.`,
  )
}

function explained(error: unknown, url: string): unknown {
  if (error instanceof DatabaseError) return error
  const code = sqliteCode(error)
  const reason = error instanceof Error ? error.message : String(error)
  if (code === 'SQLITE_NOTADB' || code?.startsWith('SQLITE_CORRUPT') || code?.startsWith('SQLITE_IOERR'))
    return new DatabaseError(damaged(url, reason))
  if (code?.startsWith('SQLITE_CANTOPEN') || code?.startsWith('SQLITE_READONLY') || reason.includes('Unable to open'))
    return new DatabaseError(
      `${fileOf(url)} cannot be opened for writing (${reason}). Check that the directory exists and belongs to this user.`,
    )
  return error
}

const fileOf = (url: string) => url.replace(/^file:(\/\/)?/, '').replace(/\?.*$/, '')

function damaged(url: string, reason: string): string {
  const file = fileOf(url)
  return `${file} is damaged or is no database (${reason}). Nothing was changed. Move ${file}, ${file}-wal and ${file}-shm aside and restore a backup in their place; or, to save what can be read, run: sqlite3 ${file} .recover`
}
