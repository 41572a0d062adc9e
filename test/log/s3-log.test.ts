import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { FileCache } from '@postern/log/file-cache.ts'
import { batchKey, parseKey } from '@postern/log/file-names.ts'
import { accepted, attempt, batchOf, idAt, logId, openTestLog, type TestLog, ten } from '@postern/log/test/events.ts'
import type { ObjectStore } from '@postern/objects/object-store.ts'
import { openS3Store } from '@postern/objects/s3-store.ts'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type FakeS3, startFakeS3 } from '../peers/fake-s3.ts'

/** The log in a bucket: as in a directory (db/log), and what only a bucket does. */

let s3: FakeS3
let store: ObjectStore
let test: TestLog
let buckets = 0
beforeAll(async () => {
  s3 = await startFakeS3()
})
beforeEach(async () => {
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' }
  const client = { endpoint: s3.endpoint, region: 'eu-central-1', forcePathStyle: true, credentials }
  store = openS3Store({ bucket: `log-${++buckets}`, prefix: 'postern/', client })
  test = await openTestLog(store)
})
afterEach(async () => {
  s3.behave(() => undefined)
  await test.end()
})
afterAll(() => s3.stop())

const hour = 3_600_000
const found = async () => (await test.log.find({ limit: 500 })).items
const keys = async () => (await store.list({ prefix: '' })).map(({ key }) => key)
const events = (first: number, last: number, at = ten) =>
  Array.from({ length: last - first + 1 }, (_, i) => accepted(first + i, at + first + i))
const append = (first: number, last: number, at = ten) => test.log.append(batchOf(events(first, last, at)))
const fetched = (name: string) =>
  s3.requests.filter((request) => request.startsWith(`GET log-${buckets}/`) && request.includes(name)).length

it('is searched, traced, counted, merged, compacted, exported and removed as in a directory', async () => {
  for (let n = 1; n <= 4; n++) await append(n, n)
  expect(await append(4, 4)).toBe('taken')
  await append(3, 6)
  await test.log.append(batchOf([attempt(1, ten + 2 * hour, { messageId: idAt(ten + 5, 5) })], { worker: 'queue-1' }))
  const before = await found()
  expect(before.map(({ n }) => n)).toEqual([1, 6, 5, 4, 3, 2, 1])
  expect(await test.log.merge({ above: 1 })).toEqual({ merged: 2 })
  expect(await found()).toEqual(before)
  expect(await test.log.compact()).toMatchObject({ hours: { length: 2 }, events: 7 })
  expect(await keys()).toEqual(['log/2026-11-30/parquet/10.parquet', 'log/2026-11-30/parquet/12.parquet'])
  expect(await found()).toEqual(before)
  await append(7, 8)
  expect(await test.log.compact()).toMatchObject({ hours: { length: 1 }, events: 8 })
  expect((await found()).map(({ n }) => n)).toEqual([1, 8, 7, 6, 5, 4, 3, 2, 1])
  expect((await test.log.trace(idAt(ten + 5, 5))).map(({ type }) => type)).toEqual([
    'message.accepted',
    'delivery.delivered',
  ])
  expect((await test.log.messages({ limit: 1, outcome: 'delivered' })).items).toMatchObject([{ id: idAt(ten + 5, 5) }])
  expect((await test.log.top({ by: 'worker', limit: 1 })).items).toEqual([{ value: 'smtp-1', count: 8 }])
  let lines = ''
  for await (const chunk of test.log.export({ format: 'ndjson' })) lines += Buffer.from(chunk).toString()
  expect(lines.trimEnd().split('\n')).toHaveLength(9)
  expect(await test.log.removeBefore(ten + 14 * hour)).toEqual({ days: 1, files: 2 })
  expect(await found()).toEqual([])
  expect(test.damaged).toEqual([])
})

it('fetches an object once, and again after a restart', async () => {
  await append(1, 3)
  await found()
  await found()
  expect(fetched('smtp-1')).toBe(1)
  await test.reopen()
  await found()
  expect(fetched('smtp-1')).toBe(2)
})

it('looks for the files of an hour again that was compacted meanwhile', async () => {
  await append(1, 3)
  const [key = ''] = await keys()
  const other = await openTestLog(store)
  let isCompacted = false
  const { get } = store
  store.get = async (wanted) => {
    if (wanted === key && !isCompacted) {
      isCompacted = true
      store.get = get
      await other.log.compact()
    }
    return get.call(store, wanted)
  }
  expect((await found()).map(({ n }) => n)).toEqual([3, 2, 1])
  expect(isCompacted).toBe(true)
  await other.end()
})

it('names a damaged object once, and skips it', async () => {
  await append(1, 3)
  const damaged = batchKey({ hour: ten, worker: 'smtp-1', log: logId, first: 4, last: 6 })
  await store.create(damaged, Buffer.from('x'))
  for (let i = 0; i < 2; i++)
    expect(await test.log.find({ limit: 9 })).toMatchObject({ items: { length: 3 }, skipped: [damaged] })
  expect(test.damaged).toEqual([`${damaged}: cut off`])
})

describe('a bucket that fails', () => {
  it('is slow and refuses some requests: the answers are the same', async () => {
    for (let i = 0; i < 10; i++) await append(i * 3 + 1, i * 3 + 3, ten + (i % 4) * hour)
    s3.behave(({ n }) => ({ delayMs: (n * 7) % 40, ...(n % 5 === 0 ? { answer: '503' as const } : {}) }))
    expect(await found()).toHaveLength(30)
    expect(await test.log.compact()).toMatchObject({ events: 30 })
    expect(await found()).toHaveLength(30)
  })

  it('ends a search at its deadline with what there is, and at once when the caller goes', async () => {
    await append(1, 3)
    await append(4, 6, ten + hour)
    await test.log.find({ limit: 1, since: ten + hour })
    s3.behave(({ method, path }) =>
      method === 'GET' && parseKey(path.split('postern/')[1] ?? '') ? { delayMs: 1_500 } : undefined,
    )
    const page = await test.log.find({ limit: 9, deadlineMs: 700 })
    expect(page).toMatchObject({ items: { length: 3 }, complete: false, searchedBackTo: ten + hour })
    const later = new AbortController()
    const search = test.log.find({ limit: 9, signal: later.signal })
    setTimeout(() => later.abort(new Error('gone')), 50)
    await expect(search).rejects.toThrow('gone')
    s3.behave(() => undefined)
    expect((await test.log.find({ limit: 9, before: page.next })).items.map(({ n }) => n)).toEqual([3, 2, 1])
  })
})

it('keeps no more in its cache than it may, but what is read', async () => {
  const directory = join(test.directory, '../bounded')
  const cache = new FileCache(store, directory, 250)
  const content = Buffer.alloc(100, 'x')
  for (const key of ['a', 'b', 'c', 'd']) await store.create(key, content)
  const first = await cache.take(['a', 'b', 'c'])
  expect((await readdir(directory)).sort()).toEqual(['a', 'b', 'c'])
  const second = await cache.take(['d', 'absent'])
  expect(second.absent).toEqual(['absent'])
  first.release()
  await expect.poll(() => readdir(directory)).toHaveLength(2)
  expect(await readdir(directory)).toContain('d')
  second.release()
  const again = await cache.take(['a', 'd'])
  expect([...again.paths.keys()].sort()).toEqual(['a', 'd'])
  again.release()
})
