import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { QueueCounts, QueuePage, WaitingMessage } from '@postern/contract/queue-mirror.ts'
import { beforeEach, expect, test } from 'vitest'
import type { Database } from '../database.ts'
import { openRecords } from '../open.ts'
import { bookIntervals, booksTotal, isNewBalance, setDuplicates } from './books.ts'
import { queueCounts, queuedMessages, recipientsOf } from './queue.ts'
import { booksDelta, forgetWaiting, storeQueuePage, tellEverythingAgain, waitingIn } from './queue-mirror.ts'
import { putReport } from './workers.ts'

let records: Database
beforeEach(async () => {
  const directory = mkdtempSync(join(tmpdir(), 'postern-mirror-'))
  records = await openRecords({ url: `file:${join(directory, 'records.db')}` })
})

const now = Date.parse('2026-11-30T12:00:00Z')
const id = (i: number) => `019a0000-0000-7000-8000-${String(i).padStart(12, '0')}`

function message(i: number, { attempts = 1, to = ['a@x.test'], ...change }: MessageOptions = {}): WaitingMessage {
  return {
    id: id(i),
    worker: 'smtp-1',
    receivedAt: now - 1_000,
    sender: 'jane@example.org',
    size: 100,
    origin: 'smtp',
    revision: 1,
    recipients: to.map((address) => ({
      address,
      original: address,
      attempts,
      ...(attempts > 0 ? { lastReply: '450 busy', waitingCause: 'refused-for-now' as const } : {}),
    })),
    ...change,
  }
}
type MessageOptions = Partial<WaitingMessage> & { attempts?: number; to?: string[] }

function counts(received: number, delivered: number, change: Partial<QueueCounts> = {}): QueueCounts {
  const waiting = received - delivered
  const messages = received
  return { id: 1, since: now - 7_200_000, messages, received, delivered, bounced: 0, discarded: 0, waiting, ...change }
}

const blank = { incarnation: 7, waiting: [], gone: [] }
const store = (page: Partial<QueuePage>, queueManager = 'queue-1') =>
  storeQueuePage(records, { queueManager, page: { from: 0, to: 0, ...blank, ...page }, now })
let runs = 100
const everything = (waiting: WaitingMessage[], to: number, given: Partial<QueuePage> = {}) =>
  store({ all: { run: ++runs, page: 0, last: true }, to, waiting, ...given })

const queued = async () =>
  (await queuedMessages(records, { filter: {}, now, limit: 1000 })).map(({ id, state }) => [
    Number(id.slice(-6)),
    state,
  ])
const balance = async () => {
  const { received, delivered, bounced, discarded, queued } = await booksTotal(records)
  return received - delivered - bounced - discarded - queued
}

test('changes are only taken on top of the position that they follow', async () => {
  expect(await store({ from: 3, to: 5 })).toEqual({ kind: 'expected', position: 0 })
  await everything([message(1), message(2, { hold: 'ops' }), message(3, { attempts: 0 })], 5)
  expect(await queued()).toEqual([
    [1, 'deferred'],
    [2, 'held'],
    [3, 'active'],
  ])
  expect(await store({ from: 4, to: 6, gone: [id(1)] })).toEqual({ kind: 'expected', position: 5 })
  expect(await store({ from: 5, to: 6, gone: [id(1)], waiting: [message(4)], incarnation: 8 })).toMatchObject({
    kind: 'expected',
  })
  expect(await store({ from: 5, to: 6, gone: [id(1)], waiting: [message(4)] })).toEqual({ kind: 'stored', position: 6 })
  expect((await queued()).map(([i]) => i)).toEqual([2, 3, 4])
})

test('a page that comes twice changes nothing the second time, also one that comes late', async () => {
  await everything([message(1)], 1, { counts: counts(1, 0) })
  const page = { from: 1, to: 2, waiting: [message(1, { attempts: 2 }), message(2)], counts: counts(12, 10) }
  for (let i = 0; i < 2; i++) expect(await store(page)).toEqual({ kind: 'stored', position: 2 })
  expect(await booksTotal(records)).toMatchObject({ received: 12, delivered: 10, queued: 2 })
  await store({ from: 2, to: 3, gone: [id(2)], counts: counts(12, 11) })
  expect(await store(page)).toMatchObject({ kind: 'expected' })
  expect(await booksTotal(records)).toMatchObject({ received: 12, delivered: 11, queued: 1 })
  const twice = { from: 3, to: 3, counts: counts(20, 19) }
  for (let i = 0; i < 2; i++) await store(twice)
  expect(await booksTotal(records)).toMatchObject({ received: 20, delivered: 19, queued: 1 })
})

test('two processes that store the same page at once count it once', async () => {
  await everything([], 0, { counts: counts(0, 0) })
  const page = { from: 0, to: 1, waiting: [message(1)], counts: counts(5, 4) }
  await Promise.all([store(page), store(page), store(page)])
  expect(await booksTotal(records)).toMatchObject({ received: 5, delivered: 4, queued: 1 })
})

test('while everything is told again nothing is invisible, and what is not told is gone after the last page', async () => {
  await everything([message(1), message(2), message(3)], 9, { counts: counts(3, 0) })
  const run = 5
  await store({ all: { run, page: 0, last: false }, to: 20, waiting: [message(2)] })
  expect(await queued()).toHaveLength(3)
  expect(await balance()).toBe(0)
  expect(await store({ from: 9, to: 10 })).toMatchObject({ kind: 'expected' })
  expect(await store({ all: { run, page: 2, last: true }, to: 20 })).toMatchObject({ kind: 'expected' })
  await store({ all: { run, page: 0, last: false }, to: 20, waiting: [message(2)] })
  await store({ all: { run, page: 1, last: true }, to: 20, waiting: [message(4)] })
  expect((await queued()).map(([i]) => i)).toEqual([2, 4])
  expect(await store({ from: 20, to: 21, counts: counts(4, 2) })).toEqual({ kind: 'stored', position: 21 })
  expect(await balance()).toBe(0)
})

test('an emptied database gets rows and books back from what it is told; the counts belong to their beginning', async () => {
  expect(await store({ from: 50, to: 51, counts: counts(100, 90) })).toMatchObject({ kind: 'expected' })
  await everything(
    Array.from({ length: 10 }, (_, i) => message(i)),
    51,
    { counts: counts(100, 90) },
  )
  expect(await booksTotal(records)).toMatchObject({ received: 100, delivered: 90, queued: 10 })
  const span = { since: now - 3_600_000, until: now + 60_000, stepMs: 3_600_000 }
  expect(await bookIntervals(records, span)).toEqual([])
})

test('what waited under counts that began again is received once', () => {
  const last = { ...counts(100, 80), countsId: 1 }
  const one = booksDelta(last, counts(30, 10, { id: 2 }), now)
  expect(one).toMatchObject({ received: 10, delivered: 10 })
  // Index and segments put back from a backup of when 90 were received.
  const back = booksDelta(last, counts(90, 70), now)
  expect(back).toMatchObject({ received: 0, delivered: 0 })
  const rebuilt = booksDelta(last, counts(130, 80), now)
  expect(rebuilt).toMatchObject({ received: 30, delivered: 0 })
})

test('two Queue Managers do not disturb each other, even with the same message', async () => {
  await everything([message(1), message(2)], 5, { counts: counts(2, 0) })
  await storeQueuePage(records, {
    queueManager: 'queue-2',
    page: {
      ...blank,
      from: 0,
      to: 8,
      all: { run: 1, page: 0, last: true },
      waiting: [message(2)],
      counts: counts(1, 0),
    },
    now,
  })
  expect(await booksTotal(records)).toMatchObject({ received: 3, queued: 3 })
  await store({ from: 8, to: 9, gone: [id(2)], counts: counts(1, 1) }, 'queue-2')
  expect((await queued()).map(([i]) => i)).toEqual([1, 2])
  expect(await waitingIn(records, 'queue-1')).toBe(2)
  await store({ from: 5, to: 6, waiting: [message(1, { to: ['b@y.test', 'b@y.test'] })] })
  expect((await recipientsOf(records, [id(1)])).map(({ address }) => address)).toEqual(['b@y.test', 'b@y.test'])
  expect((await queueCounts(records)).states).toMatchObject([{ state: 'deferred', n: 2 }])
})

test('a Queue Manager that is asked tells everything again; one that is gone is forgotten by hand', async () => {
  await everything([message(1)], 5, { counts: counts(4, 3) })
  expect(await tellEverythingAgain(records)).toEqual(['queue-1'])
  expect(await queued()).toHaveLength(1)
  expect(await store({ from: 5, to: 6 })).toMatchObject({ kind: 'expected' })
  await everything([message(1)], 6, { counts: counts(4, 3) })
  await forgetWaiting(records, 'queue-1', now)
  expect(await booksTotal(records)).toMatchObject({ received: 3, delivered: 3, queued: 0 })
  // It was not gone after all.
  expect(await store({ from: 6, to: 6 })).toMatchObject({ kind: 'expected' })
  await everything([message(1)], 6, { counts: counts(5, 4) })
  expect(await booksTotal(records)).toMatchObject({ received: 5, delivered: 4, queued: 1 })
})

test('a lost row shows in the balance, and each balance is new once', async () => {
  await everything([message(1), message(2)], 5, { counts: counts(10, 8) })
  await records.run('delete from waiting_recipients')
  expect(await balance()).toBe(2)
  expect(await isNewBalance(records, 0)).toBe(false)
  expect([await isNewBalance(records, 2), await isNewBalance(records, 2)]).toEqual([true, false])
  expect(await isNewBalance(records, 0)).toBe(false)
  expect(await isNewBalance(records, 2)).toBe(true)
})

test('duplicates of an hour are set, not added', async () => {
  const hour = Math.floor(now / 3_600_000) * 3_600_000
  expect(await setDuplicates(records, { hour, worker: 'queue-2', duplicates: 3 })).toBe(3)
  expect(await setDuplicates(records, { hour, worker: 'queue-2', duplicates: 4 })).toBe(1)
  expect(await booksTotal(records)).toMatchObject({ duplicates: 4 })
})

test('what workers count since their start is added to the books, and a restart counts from 0', async () => {
  const report = (pid: number, failed: number) => ({
    id: 'smtp-1',
    now,
    report: {
      service: 'smtp' as const,
      pid,
      startedAt: '2026-11-30T11:00:00.000Z',
      metrics: { auth_failed_total: failed, commands_refused_total: 2 * failed, sessions_refused_total: 1 },
    } as unknown as Parameters<typeof putReport>[1]['report'],
  })
  for (const [pid, failed] of [
    [1, 3],
    [1, 5],
    [1, 5],
    [2, 1],
  ] as const)
    await putReport(records, report(pid, failed))
  const [row] = await bookIntervals(records, { since: now - 60_000, until: now + 60_000, stepMs: 60_000 })
  expect(row).toMatchObject({ loginFailures: 6, refused: 12 + 2, deferred: 0 })
})

test('a page costs the same number of calls, whatever is in it', async () => {
  const calls: number[] = []
  const batch = records.batch.bind(records)
  const seen = Object.assign(Object.create(records), {
    batch: (statements: Parameters<typeof batch>[0]) => {
      calls.push(statements.length)
      return batch(statements)
    },
  }) as Database
  const tell = (page: Partial<QueuePage>) =>
    storeQueuePage(seen, { queueManager: 'queue-1', page: { from: 0, to: 0, ...blank, ...page }, now })
  const many = Array.from({ length: 1000 }, (_, i) => message(i, { to: ['a@x.test', 'b@x.test'] }))
  await tell({ all: { run: 1, page: 0, last: true }, to: 1, waiting: many, counts: counts(2000, 0) })
  await tell({ from: 1, to: 1, counts: counts(2001, 1) })
  expect(calls).toEqual([8, 8])
  expect(await balance()).toBe(0)
})
