import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eq, sql } from 'drizzle-orm'
import { expect, it } from 'vitest'
import { commit, headRevision } from './control/revisions.ts'
import { changes, rows } from './control/tables.ts'
import { DatabaseError, openControl, openRecords } from './open.ts'
import { ingest } from './records/ingest.ts'
import { makeSeal, SealError } from './seal.ts'
import { startHranaServer } from './test/hrana.ts'

const directory = () => mkdtempSync(join(tmpdir(), 'postern-open-'))
const key = btoa('0123456789abcdef0123456789abcdef')

it('says which file is damaged and what to do, and changes nothing', async () => {
  const file = join(directory(), 'settings.db')
  const garbage = Buffer.from('this is no database, whatever its name says. '.repeat(200))
  writeFileSync(file, garbage)
  const error = await openControl({ url: `file:${file}` }).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(DatabaseError)
  expect((error as Error).message).toContain(`${file} is damaged or is no database`)
  expect((error as Error).message).toContain('restore a backup')
  expect(readFileSync(file).equals(garbage)).toBe(true)
})

it('finds damage inside a database', async () => {
  const file = join(directory(), 'settings.db')
  const database = await openControl({ url: `file:${file}` })
  for (let i = 0; i < 300; i++)
    await database.run(
      sql`insert into rows (kind, id, key, value, revision) values ('kill', ${`id${i}`}, ${`key${i}`}, ${'x'.repeat(500)}, 1)`,
    )
  await database.run(sql`select 1`)
  database.$client.close()
  const bytes = readFileSync(file)
  bytes.fill(0xab, 4096 * 6, 4096 * 12)
  writeFileSync(file, bytes)
  await expect(openControl({ url: `file:${file}` })).rejects.toThrow(/damaged/)
  expect(readFileSync(file).equals(bytes)).toBe(true)
})

it('refuses a database of a newer version', async () => {
  const url = `file:${join(directory(), 'settings.db')}`
  const database = await openControl({ url })
  await database.run(sql`insert into postern_control_migrations (name, at) values ('9999_future', 0)`)
  database.$client.close()
  await expect(openControl({ url })).rejects.toThrow(/newer version of Postern.*9999_future/)
})

it('starts on a database that a newer version only expanded, so that a deployment can be rolled back', async () => {
  const url = `file:${join(directory(), 'settings.db')}`
  const database = await openControl({ url })
  await database.run(sql`insert into postern_control_migrations (name, at) values ('9998_expand-more', 0)`)
  database.$client.close()
  const former = await openControl({ url })
  expect(await headRevision(former)).toBe(0)
  await former.run(sql`insert into postern_control_migrations (name, at) values ('9999_future', 0)`)
  former.$client.close()
  await expect(openControl({ url })).rejects.toThrow(/newer version of Postern.*9999_future/)
})

it('asks a database that is up to date once', async () => {
  const server = await startHranaServer(join(directory(), 'server.db'))
  try {
    for (const open of [openControl, openRecords]) await open({ url: server.url })
    for (const open of [openControl, openRecords]) {
      const before = server.requests
      await open({ url: server.url })
      expect(server.requests - before).toBe(1)
    }
  } finally {
    await server.close()
  }
})

it('calls rules that are watched by their names of today, in the history too', async () => {
  const url = `file:${join(directory(), 'settings.db')}`
  const former = JSON.stringify({ checkHelo: 'reject', watch: ['helo-resolves', 'greylist', 'local-sender-auth'] })
  const today = JSON.stringify({ checkHelo: 'reject', watch: ['helo', 'greylist', 'auth-for-local-senders'] })
  const before = await openControl({ url })
  await before.insert(rows).values({ kind: 'settings', id: 'security', key: 'security', value: former, revision: 1 })
  const change = { revision: 1, seq: 0, kind: 'settings', id: 'security', key: 'security', after: former } as const
  await before.insert(changes).values(change)
  await before.run(sql`delete from postern_control_migrations where name = '0005_rule-names'`)
  before.$client.close()
  const after = await openControl({ url })
  const settings = eq(rows.id, 'security')
  expect(await after.select({ value: rows.value }).from(rows).where(settings)).toEqual([{ value: today }])
  expect(await after.select({ before: changes.before, after: changes.after }).from(changes)).toEqual([
    { before: null, after: today },
  ])
  after.$client.close()
})

it('names a directory that is not there', async () => {
  await expect(openControl({ url: 'file:/nowhere/at/all/settings.db' })).rejects.toThrow(
    /\/nowhere\/at\/all\/settings\.db cannot be opened/,
  )
})

it('works the same with a libSQL server', async () => {
  const server = await startHranaServer(join(directory(), 'server.db'), 'secret')
  try {
    const control = await openControl({ url: server.url, authToken: 'secret' })
    const records = await openRecords({ url: server.url, authToken: 'secret' })
    const seal = await makeSeal(key)
    const options = { seal, now: 1, actor: 'test', action: 'test' }
    await Promise.all(
      [1, 2, 3, 4, 5].map((i) =>
        commit(control, { ...options, id: `a${i}` }, (draft) =>
          draft.put('accept', `id${i}`, { value: `v${i}`, createdBy: 'test', createdAt: '2026-01-01T00:00:00Z' }),
        ),
      ),
    )
    expect(await headRevision(control)).toBe(5)
    const batch = { worker: 'smtp-1', log: '0a1b2c3d4e5f', last: 7 }
    for (let i = 0; i < 2; i++) expect(await ingest(records, batch)).toBe(7)
    const failing = commit(control, { ...options, id: 'x' }, async (draft) => {
      await draft.remove('accept', 'id1')
      throw new Error('changed my mind')
    })
    await expect(failing).rejects.toThrow('changed my mind')
    expect(await control.all(sql`select count(*) as n from rows`)).toEqual([{ n: 5 }])
    await expect(openControl({ url: server.url, authToken: 'wrong' })).rejects.toThrow()
  } finally {
    await server.close()
  }
})

it('opens a sealed secret only with its key and in its place', async () => {
  const seal = await makeSeal(key)
  const sealed = await seal.seal('hunter2', 'settings/general/gateway.secret')
  expect(sealed).not.toContain('hunter2')
  expect(await seal.open(sealed, 'settings/general/gateway.secret')).toBe('hunter2')
  await expect(seal.open(sealed, 'elsewhere')).rejects.toThrow(SealError)
  await expect((await makeSeal('x'.repeat(40))).open(sealed, 'settings/general/gateway.secret')).rejects.toThrow(
    /another data key/,
  )
  await expect(makeSeal('short')).rejects.toThrow(/32 bytes/)
})
