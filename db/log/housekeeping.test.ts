import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDirectoryStore } from '@postern/objects/directory-store.ts'
import type { ObjectStore } from '@postern/objects/object-store.ts'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { batchKey } from './file-names.ts'
import { accepted, attempt, batchOf, idAt, logId, openTestLog, type TestLog, ten } from './test/events.ts'

let test: TestLog
beforeEach(async () => {
  test = await openTestLog()
})
afterEach(() => test.end())

const hour = 3_600_000
const keys = async (store: ObjectStore = test.store) => (await store.list({ prefix: '' })).map(({ key }) => key)
const found = async () => (await test.log.find({ limit: 500 })).items
const events = (first: number, last: number, at = ten) =>
  Array.from({ length: last - first + 1 }, (_, i) => accepted(first + i, at + first + i))
const append = (first: number, last: number, name = {}) => test.log.append(batchOf(events(first, last), name))
const numbers = async () => (await found()).map(({ n }) => n)
const downTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, i) => last - i)

describe('merging', () => {
  it('ends when it is told to, and leaves each batch whole', async () => {
    for (let n = 1; n <= 3; n++) await append(n, n)
    const before = await keys()
    await expect(test.log.merge({ above: 1, signal: AbortSignal.abort() })).rejects.toThrow('aborted')
    expect(await keys()).toEqual(before)
  })

  it('makes batches that follow each other one, when an hour has many', async () => {
    for (let n = 1; n <= 50; n++) await append(n, n)
    expect(await test.log.merge()).toEqual({ merged: 0 })
    await append(52, 53)
    await append(1, 2, { worker: 'queue-1' })
    const before = await found()
    expect(await test.log.merge()).toEqual({ merged: 49 })
    expect(await keys()).toEqual([
      batchKey({ hour: ten, worker: 'queue-1', log: logId, first: 1, last: 2 }),
      batchKey({ hour: ten, worker: 'smtp-1', log: logId, first: 1, last: 50 }),
      batchKey({ hour: ten, worker: 'smtp-1', log: logId, first: 52, last: 53 }),
    ])
    expect(await found()).toEqual(before)
    await test.reopen()
    expect(await found()).toEqual(before)
    expect(test.damaged).toEqual([])
  })

  it('leaves a run alone that has a damaged part, and what it is contained in', async () => {
    for (let n = 1; n <= 51; n++) if (n !== 20) await append(n, n)
    const damaged = batchKey({ hour: ten, worker: 'smtp-1', log: logId, first: 20, last: 20 })
    await test.store.create(damaged, Buffer.from('x'))
    expect(await test.log.merge()).toEqual({ merged: 0 })
    expect(await test.log.merge()).toEqual({ merged: 48 })
    expect(await numbers()).toEqual(downTo(51).filter((n) => n !== 20))
    expect(await keys()).toContain(damaged)
  })

  it('keeps the parts when the name of the whole is taken by a damaged file', async () => {
    for (let n = 1; n <= 51; n++) await append(n, n)
    await test.store.create(batchKey({ hour: ten, worker: 'smtp-1', log: logId, first: 1, last: 51 }), Buffer.from('x'))
    await test.log.merge()
    expect(await numbers()).toEqual(downTo(51))
  })
})

describe('compaction', () => {
  it('makes an hour that has ended one file, and what came late a part of it', async () => {
    await append(1, 3)
    await append(4, 6)
    await append(2, 5)
    await append(1, 3, { worker: 'queue-1' })
    await test.log.append(batchOf([attempt(7, ten + 24 * hour)]))
    const before = await found()
    expect(await test.log.compact()).toMatchObject({ hours: { length: 1 }, events: 9 })
    expect(await keys()).toEqual(['log/2026-11-30/parquet/10.parquet', expect.stringContaining('2026-12-01/10/smtp-1')])
    expect(await found()).toEqual(before)
    expect(await test.log.compact()).toMatchObject({ hours: { length: 0 }, events: 0 })
    await append(3, 8)
    expect((await numbers()).filter((n) => n > 6)).toEqual([7, 8, 7])
    expect(await test.log.compact()).toMatchObject({ hours: { length: 1 }, events: 11 })
    expect((await keys())[0]).toBe('log/2026-11-30/parquet/10.2.parquet')
    expect(await found()).toHaveLength(12)
    await append(1, 2)
    expect(await test.log.compact()).toMatchObject({ hours: { length: 0 }, events: 0 })
    expect(await keys()).toHaveLength(2)
  })

  it('keeps every column: filters find the same', async () => {
    const batch = [
      accepted(1, ten, { sender: 'Bob@Example.org', recipients: [{ address: 'a@x.test', original: 'B@y.test' }] }),
      attempt(2, ten + 1, {
        messageId: idAt(ten, 1),
        type: 'delivery.bounced',
        reply: '550 5.1.1 no',
        status: '5.1.1',
        cause: 'x',
      }),
      {
        n: 3,
        at: ten + 2,
        type: 'session.opened',
        client: { ip: '2001:db8::7', login: 'eve' },
        session: 's',
        listener: 'smtp',
        log: false,
      },
    ]
    await test.log.append(batchOf(batch))
    const answers = async () => {
      const filters = [
        { sender: 'bob@example.org' },
        { recipient: 'b@y.test' },
        { domain: 'x.test' },
        { code: '550' },
        { code: '5.1.1' },
        { level: 'verbose' as const },
        { client: '2001:db8::/32' },
        { q: 'mx.example.net bounced' },
        { q: 'reply' },
      ]
      const all = []
      for (const filter of filters) all.push((await test.log.find({ ...filter, limit: 9 })).items)
      all.push((await test.log.top({ by: 'recipient', limit: 9 })).items, await test.log.trace(idAt(ten, 1)))
      return all
    }
    const before = await answers()
    expect(await test.log.compact()).toMatchObject({ events: 3 })
    expect(await answers()).toEqual(before)
  })

  it('leaves a damaged file where it is, and takes the others', async () => {
    await append(1, 3)
    const damaged = batchKey({ hour: ten, worker: 'smtp-1', log: logId, first: 4, last: 6 })
    await test.store.create(damaged, batchOf(events(4, 5)).content)
    expect(await test.log.compact()).toMatchObject({ hours: { length: 1 }, events: 3 })
    expect(await keys()).toEqual([damaged, 'log/2026-11-30/parquet/10.parquet'])
    expect(await test.log.compact()).toMatchObject({ hours: { length: 0 }, events: 0 })
    await test.reopen()
    expect(await test.log.compact()).toMatchObject({ hours: { length: 0 }, events: 0 })
    expect(await numbers()).toEqual([3, 2, 1])
    expect(await keys()).toContain(damaged)
  })

  it('takes a Parquet file that is damaged for absent, and keeps it', async () => {
    await append(1, 3)
    await test.store.create('log/2026-11-30/parquet/10.parquet', Buffer.from('PAR1'))
    expect(await test.log.compact()).toMatchObject({ hours: { length: 1 }, events: 3 })
    expect(await keys()).toEqual(['log/2026-11-30/parquet/10.2.parquet', 'log/2026-11-30/parquet/10.parquet'])
    expect(await numbers()).toEqual([3, 2, 1])
  })

  it('ends with the reason of its signal, and leaves no file behind', async () => {
    await append(1, 3)
    await expect(test.log.compact({}, AbortSignal.abort(new Error('stop')))).rejects.toThrow('stop')
    expect(await numbers()).toEqual([3, 2, 1])
  })

  it('goes on where a machine stopped, after each change of the store', async () => {
    for (let stopAfter = 0; stopAfter < 6; stopAfter++) {
      await append(1, 3)
      await append(4, 6)
      if (stopAfter > 2) {
        await test.log.compact()
        await append(1, 9)
      }
      const before = await found()
      const stop = stopping(test.store, stopAfter % 3)
      await test.log.compact().catch(() => {})
      stop.restore()
      await test.reopen()
      expect(await found()).toEqual(before)
      await test.log.compact()
      expect(await found()).toEqual(before)
      expect(await keys()).toHaveLength(1)
      await test.store.remove(await keys())
    }
  })
})

/** The store fails after so many changes; a removal that fails has removed one object. */
function stopping(store: ObjectStore, changes: number): { restore(): void } {
  const { create, remove } = store
  let left = changes
  const change = async <T>(work: () => Promise<T>, partly: () => Promise<unknown>): Promise<T> => {
    if (left-- > 0) return work()
    await partly()
    throw new Error('stopped')
  }
  store.create = (key, content) =>
    change(
      () => create.call(store, key, content),
      async () => {},
    )
  store.remove = (given) =>
    change(
      () => remove.call(store, given),
      () => remove.call(store, given.slice(0, 1)),
    )
  return { restore: () => Object.assign(store, { create, remove }) }
}

describe('retention', () => {
  it('removes whole days, and counts files', async () => {
    const day = 24 * hour
    for (const at of [ten - 2 * day, ten - day, ten]) await test.log.append(batchOf([accepted(1, at)]))
    await test.log.compact({ until: ten - day })
    await test.store.create('log/2026-11-28/strange', Buffer.from('x'))
    expect(await test.log.removeBefore(ten - day)).toEqual({ days: 1, files: 2 })
    expect(await test.log.removeBefore(ten - day)).toEqual({ days: 0, files: 0 })
    expect(await keys()).toHaveLength(2)
    expect(await found()).toHaveLength(2)
  })

  it('copies into the archive what it removes; a failed copy removes nothing', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'postern-archive-'))
    const archive = await openDirectoryStore(directory)
    await append(1, 3)
    const [key = ''] = await keys()
    const create = archive.create
    archive.create = () => Promise.reject(new Error('full'))
    await expect(test.log.removeBefore(ten + 24 * hour, archive)).rejects.toThrow('full')
    expect(await keys()).toEqual([key])
    archive.create = create
    const content = await test.store.get(key)
    expect(await test.log.removeBefore(ten + 24 * hour, archive)).toEqual({ days: 1, files: 1 })
    expect(await keys()).toEqual([])
    expect(await archive.get(key)).toEqual(content)
    await rm(directory, { recursive: true })
  })
})
