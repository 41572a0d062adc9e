import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type Client, createClient } from '@libsql/client'
import { describe, expect, it } from 'vitest'
import { checkpointOf } from './checkpoint.ts'
import { GuardedClient, sqliteCode } from './guarded-client.ts'

/** A statement that met SQLITE_BUSY spoils its connection in @libsql/client 0.18: what is acknowledged later is not durable. */

/** Another process: SQLite's locks do not hold between two libraries in one. Each line in toggles its write lock. */
async function startRival(file: string): Promise<{ toggle: () => Promise<void>; stop: () => void }> {
  const script = `
    const { DatabaseSync } = require('node:sqlite')
    const database = new DatabaseSync(process.argv[1])
    let holds = false
    console.log('ready')
    process.stdin.on('data', () => {
      database.exec(holds ? 'rollback' : 'begin immediate')
      holds = !holds
      console.log(holds)
    })`
  const child: ChildProcess = spawn(process.execPath, ['-e', script, file], { stdio: ['pipe', 'pipe', 'inherit'] })
  const answer = async () => void (child.stdout && (await once(child.stdout, 'data')))
  await answer()
  return {
    toggle: async () => {
      const answered = answer()
      child.stdin?.write('x')
      await answered
    },
    stop: () => child.kill(),
  }
}

const wanted = 6 * 60

async function provoke(make: (url: string) => Client) {
  const file = join(mkdtempSync(join(tmpdir(), 'postern-busy-')), 'test.db')
  const client = make(`file:${file}`)
  await client.execute('pragma journal_mode = wal')
  await client.execute('create table t (n integer primary key)')
  const rival = await startRival(file)
  let acknowledged = 0
  let refused = 0
  for (let round = 0; round < 6; round++) {
    await rival.toggle()
    const work = [
      () => client.execute({ sql: 'insert into t values (?)', args: [acknowledged + 1] }),
      () => client.batch([{ sql: 'insert into t values (?)', args: [acknowledged + 1] }], 'write'),
      async () => {
        const transaction = await client.transaction('write')
        await transaction.execute({ sql: 'insert into t values (?)', args: [acknowledged + 1] })
        await transaction.commit()
      },
    ]
    const attempt = async (run: () => Promise<unknown>) => {
      try {
        await run()
        acknowledged++
      } catch (error) {
        if (!sqliteCode(error)?.startsWith('SQLITE_BUSY')) throw error
        refused++
      }
    }
    for (const run of work) await attempt(run)
    await rival.toggle()
    for (let i = 0; i < 20; i++) for (const run of work) await attempt(run).catch(() => {})
  }
  client.close()
  rival.stop()
  const check = new DatabaseSync(file)
  const durable = Number((check.prepare('select count(*) as n from t').get() as { n: number }).n)
  check.close()
  return { acknowledged, refused, durable }
}

describe('the guarded client', () => {
  it('keeps all it has acknowledged when another process holds the write lock now and then', async () => {
    const { acknowledged, refused, durable } = await provoke(
      (url) => new GuardedClient(createClient({ url, timeout: 20 })),
    )
    expect(refused).toBe(18)
    expect(acknowledged).toBe(wanted)
    expect(durable).toBe(acknowledged)
  })

  it('is still needed: the bare client loses or refuses writes in the same test', async () => {
    const { acknowledged, durable } = await provoke((url) => createClient({ url, timeout: 20 }))
    expect(durable).toBeLessThan(wanted)
    expect(durable).toBeLessThanOrEqual(acknowledged)
  })

  it('does one write at a time, first come first served, and lets reads pass', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'postern-order-')), 'test.db')
    const client = new GuardedClient(createClient({ url: `file:${file}`, timeout: 200 }))
    await client.execute('pragma journal_mode = wal')
    await client.execute('create table t (n integer primary key, name text)')
    const transaction = await client.transaction('write')
    await transaction.execute("insert into t (name) values ('first')")
    const later = Promise.all([
      client.execute("insert into t (name) values ('second')"),
      client.batch(["insert into t (name) values ('third')"], 'write'),
    ])
    expect((await client.execute('select count(*) as n from t')).rows[0]?.n).toBe(0)
    await transaction.commit()
    await later
    expect((await client.execute('select name from t order by n')).rows.map(({ name }) => name)).toEqual([
      'first',
      'second',
      'third',
    ])
    client.close()
  })
})

describe('a very large transaction', () => {
  it('leaves its log to the thread; writes wait for it, reads do not, and nothing is lost', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'postern-large-')), 'test.db')
    const { flush, takeOver } = checkpointOf(file)
    const steps: string[] = []
    const client = new GuardedClient(createClient({ url: `file:${file}` }), {
      flush: () => flush().then(() => void steps.push('flushed')),
      takeOver: () => takeOver().then(() => void steps.push('taken over')),
    })
    await client.execute('pragma journal_mode = wal')
    await client.execute('create table t (n integer primary key, text text)')
    const transaction = await client.transaction('write')
    for (let n = 0; n < 1000; n++) await transaction.execute(`insert into t values (${n}, hex(randomblob(2000)))`)
    await transaction.commit()
    steps.push('committed')
    expect(statSync(`${file}-wal`).size).toBeGreaterThan(4_000_000)
    const write = client.execute("insert into t values (1000, 'after')").then(() => void steps.push('written'))
    expect((await client.execute('select count(*) from t')).rows[0]?.[0]).toBe(1000)
    steps.push('read')
    await write
    expect(steps).toEqual(['flushed', 'committed', 'read', 'taken over', 'written'])
    expect((await client.execute('select count(*) from t')).rows[0]?.[0]).toBe(1001)
    // All of it was in the database, so the log began anew.
    expect(statSync(`${file}-wal`).size).toBeLessThan(100_000)
    expect((await client.execute('pragma wal_autocheckpoint')).rows[0]?.[0]).toBe(1000)
    client.close()
  })

  it('rolled back it leaves nothing', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'postern-large-')), 'test.db')
    const client = new GuardedClient(createClient({ url: `file:${file}` }), checkpointOf(file))
    await client.execute('pragma journal_mode = wal')
    await client.execute('create table t (n integer primary key)')
    const transaction = await client.transaction('write')
    for (let n = 0; n < 300; n++) await transaction.execute(`insert into t values (${n})`)
    await transaction.rollback()
    await client.execute('insert into t values (7)')
    expect((await client.execute('select count(*) from t')).rows[0]?.[0]).toBe(1)
    client.close()
  })
})

const isRoot = process.platform === 'linux' && process.getuid?.() === 0

/** On a disk that has filled up: each way to write is refused once or more, then there is room again. */
async function provokeFull(make: (url: string) => Client) {
  const directory = mkdtempSync(join(tmpdir(), 'postern-full-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', directory])
  try {
    const file = join(directory, 'test.db')
    const client = make(`file:${file}`)
    await client.execute('pragma journal_mode = wal')
    await client.execute('create table t (n integer primary key, text text)')
    const insert = (n: number) => ({ sql: 'insert into t values (?, ?)', args: [n, 'x'.repeat(4000)] })
    const ways = [
      (n: number) => client.execute(insert(n)),
      (n: number) => client.batch([insert(n)], 'write'),
      async (n: number) => {
        const transaction = await client.transaction('write')
        await transaction.execute(insert(n))
        await transaction.commit()
      },
    ]
    let acknowledged = 0
    const refused = new Set<string | undefined>()
    const write = async (way: (n: number) => Promise<unknown>) => {
      try {
        await way(acknowledged + 1)
        acknowledged++
      } catch (error) {
        refused.add(sqliteCode(error))
      }
    }
    for (let round = 0; round < 3; round++) {
      const filling = join(directory, 'filling')
      try {
        writeFileSync(filling, Buffer.alloc(2 << 20))
      } catch {
        // It is full now.
      }
      for (const way of [...ways, ...ways]) await write(way)
      rmSync(filling)
      for (const way of ways) await write(way)
    }
    client.close()
    const reopened = new DatabaseSync(file)
    const { durable } = reopened.prepare('select count(*) as durable from t').get() as { durable: number }
    reopened.close()
    return { acknowledged, durable, refused }
  } finally {
    execFileSync('umount', ['-l', directory])
  }
}

describe.skipIf(!isRoot)('a full disk (a tmpfs: only root may mount one)', () => {
  it('what the guarded client acknowledges once there is room again is durable', async () => {
    const { acknowledged, durable, refused } = await provokeFull((url) => new GuardedClient(createClient({ url })))
    expect(refused.size).toBeGreaterThan(0)
    expect(acknowledged).toBeGreaterThanOrEqual(9)
    expect(durable).toBe(acknowledged)
  })
})
