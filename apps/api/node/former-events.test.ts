import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { recordsMigrations } from '@postern/store/migrations/embedded.ts'
import { openRecords } from '@postern/store/open.ts'
import { expect, it } from 'vitest'
import { openEventStore } from './event-store.ts'
import { exporterTo } from './former-events.ts'

const messageId = '019a0000-0000-7000-8000-000000000001'
const at = Date.parse('2025-11-05T10:59:59.000Z')

/** A records database of the last release that kept events as rows. */
function formerDatabase(directory: string, rows: [n: number, at: number, type: string, text: string][]) {
  const file = join(directory, 'events.db')
  const database = new DatabaseSync(file)
  database.exec('create table postern_records_migrations (name text primary key, at integer not null)')
  const done = database.prepare('insert into postern_records_migrations values (?, 1)')
  for (const { name, statements } of recordsMigrations.slice(0, 8)) {
    for (const statement of statements) database.exec(statement)
    done.run(name)
  }
  database.exec("create virtual table events_text using fts5(text, content='events', content_rowid='seq')")
  const event = database.prepare(
    "insert into events (worker, n, at, type, message_id, text, json) values ('queue-1', ?, ?, ?, ?, ?, ?)",
  )
  const json = JSON.stringify({ messageId, by: 'ann' })
  for (const [n, at, type, text] of rows) event.run(n, at, type, messageId, text, json)
  database.close()
  return `file:${file}`
}

async function store(directory: string) {
  const log = { info: () => {}, warn: () => {}, error: () => expect.unreachable() }
  return openEventStore({ env: {}, directory, log, now: () => Date.now() })
}

it('events of an earlier release are in the log, once, also after a start that was interrupted', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'postern-former-'))
  const url = formerDatabase(directory, [
    [7, at, 'message.held', 'held by ann'],
    // It was left out of the log, and kept for the trace.
    [9, at + 500, 'message.released', ''],
    [12, at + 2_000, 'message.held', 'held by ann'],
  ])
  const events = await store(directory)
  const exported = exporterTo(events)
  const interrupted = openRecords({ url }, async (page) => {
    await exported(page)
    throw new Error('killed')
  })
  await expect(interrupted).rejects.toThrow('killed')
  const records = await openRecords({ url }, exporterTo(events))
  const { items } = await events.find({ limit: 10 })
  expect(items).toMatchObject([
    { worker: 'queue-1', at: at + 2_000, type: 'message.held', messageId, fields: { by: 'ann' } },
    { worker: 'queue-1', at, type: 'message.held', messageId, fields: { by: 'ann' } },
  ])
  expect((await events.trace(messageId)).map(({ type }) => type)).toEqual([
    'message.held',
    'message.released',
    'message.held',
  ])
  records.$client.close()
  const again = await openRecords({ url }, () => expect.unreachable())
  again.$client.close()
  await events.close()
})

it('a database with events of an earlier release is not opened without a place for them', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'postern-former-'))
  const url = formerDatabase(directory, [[1, at, 'message.held', 'held by ann']])
  await expect(openRecords({ url })).rejects.toThrow('no log store was given')
  // Nothing was changed.
  const events = await store(directory)
  const records = await openRecords({ url }, exporterTo(events))
  expect((await events.find({ limit: 10 })).items).toHaveLength(1)
  records.$client.close()
  await events.close()
})
