import type { QueueCounts, QueuePage, WaitingMessage } from '@postern/contract/queue-mirror.ts'
import { queuePageBytes, queuePageSchema } from '@postern/contract/queue-mirror.ts'
import { afterEach, expect, test } from 'vitest'
import { TestServer } from '../test/server.ts'
import { Testbed, until } from '../test/testbed.ts'

/** The Queue Manager and an API that keeps what it is told, forgets it, goes away and comes back. */

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

/** As db/store/records/queue-mirror.ts keeps it. */
class Told {
  waiting = new Map<string, WaitingMessage>()
  counts: QueueCounts | undefined
  position = -1
  isAway = false
  pages: QueuePage[] = []
  #next = new Map<string, WaitingMessage>()

  async send(page: QueuePage): Promise<'stored' | 'everything'> {
    if (this.isAway) throw new Error('away')
    expect(queuePageSchema.safeParse(page).error).toBeUndefined()
    this.pages.push(page)
    const { all, from, to, waiting, gone, counts } = page
    if (all) {
      if (all.page === 0) this.#next = new Map()
      for (const message of waiting) this.#next.set(message.id, message)
      if (all.last) [this.waiting, this.position] = [this.#next, to]
      return 'stored'
    }
    if (from !== this.position) return 'everything'
    for (const id of gone) this.waiting.delete(id)
    for (const message of waiting) this.waiting.set(message.id, message)
    this.position = to
    this.counts = counts ?? this.counts
    return 'stored'
  }

  /** Recipients that wait by the rows, against what was counted. */
  get balance(): number {
    if (!this.counts) return Number.NaN
    const { received, delivered, bounced, discarded } = this.counts
    const rows = [...this.waiting.values()].reduce((sum, { recipients }) => sum + recipients.length, 0)
    return received - delivered - bounced - discarded - rows
  }
}

const times = { soon: 5, leastPause: 20, everyMs: 200, betweenPages: 1, afterFailure: 20, longestPause: 50 }

async function start() {
  const remote = await TestServer.start({ command: (line) => (line.includes('later') ? '450 4.2.1 busy' : undefined) })
  open.push(remote)
  const told = new Told()
  const failures: unknown[] = []
  const mirror = { send: (page: QueuePage) => told.send(page), failed: (error: unknown) => failures.push(error), times }
  const box = await Testbed.open({ domains: [{ name: 'a.test', route: remote.route }] }, { mirror })
  open.push(box)
  return { box, told, failures, remote }
}

const saysWaiting = (told: Told, n: number) => () => told.waiting.size === n && told.balance === 0

test('what waits is told soon, what is delivered at once never, and the counts are of the same moment', async () => {
  const { box, told } = await start()
  const startedAt = performance.now()
  for (let i = 0; i < 30; i++) await box.send([`u${i}@a.test`])
  const id = await box.send(['later@a.test', 'u@a.test'])
  await until('it is told', saysWaiting(told, 1))
  await until('all is counted', () => told.counts?.delivered === 31)
  expect([...told.waiting.keys()]).toEqual([id])
  expect(told.counts).toMatchObject({ received: 32, waiting: 1 })
  // On a busy machine some may have waited so long that they got rows.
  if (performance.now() - startedAt > 2_500) return
  for (const { waiting } of told.pages) expect(waiting.every((message) => message.id === id)).toBe(true)
})

test('an API that lost everything, or was put back older, has it again by itself although nothing changes', async () => {
  const { box, told } = await start()
  for (let i = 0; i < 5; i++) await box.send([`later${i}@a.test`])
  await until('they are told', saysWaiting(told, 5))
  const older = { waiting: new Map([...told.waiting].slice(0, 2)), position: told.position - 1 }
  Object.assign(told, { waiting: new Map(), position: -1, counts: undefined })
  await until('they are told again', saysWaiting(told, 5))
  Object.assign(told, older)
  await until('they are told once more', saysWaiting(told, 5))
})

test('an API that was away is told what changed meanwhile; one failure is reported for a run of them', async () => {
  const { box, told, failures, remote } = await start()
  for (let i = 0; i < 5; i++) await box.send([`later${i}@a.test`])
  await until('they are told', saysWaiting(told, 5))
  told.isAway = true
  remote.script = { command: (line) => (line.includes('other') ? '450 4.2.1 busy' : undefined) }
  await box.send(['other@a.test'])
  await box.queue.index.ask('hasten', { at: Date.now() + 1e9, limit: 10 })
  await box.queue.index.ask('hasten', { at: Date.now() - 1, limit: 10 })
  await until('they are delivered', () => box.queue.counters.delivered === 5)
  await until('it failed', () => failures.length > 0)
  const before = told.pages.length
  told.isAway = false
  await until('the change is told', saysWaiting(told, 1))
  expect(failures).toHaveLength(1)
  expect(told.pages.slice(before).some(({ all }) => all)).toBe(false)
})

test('the last state is told before the Queue Manager stops, and the next one goes on from there', async () => {
  const { box, told } = await start()
  await until('told', () => told.counts !== undefined)
  told.isAway = true
  await box.send(['later@a.test'])
  await until('it waits', () => box.queue.counters.deferred === 1)
  told.isAway = false
  await until('it is told', saysWaiting(told, 1))
  await box.send(['later2@a.test'])
  await until('it waits', () => box.queue.counters.deferred === 2)
  await box.stopQueue()
  expect(saysWaiting(told, 2)()).toBe(true)
  const before = told.pages.length
  await box.startQueue({ deliver: false })
  await until('it tells again', () => told.pages.length > before)
  expect(told.pages.slice(before).some(({ all }) => all)).toBe(false)
})

test('very much that waits is told in bounded pages', async () => {
  const { box, told } = await start()
  await until('told', () => told.position >= 0)
  const { index } = box.queue
  const n = 12_000
  const insert = Array.from({ length: n }, (_, i) => ({
    n: 1000 + i,
    id: `019a0000-0000-7000-8000-${String(i).padStart(12, '0')}`,
    location: 'x',
    segment: 's',
    bytes: 1,
    waitsSince: 0,
    rerouted: '',
    warned: false,
    headerEdits: '',
    summary: JSON.stringify({ worker: 'w', receivedAt: 1, sender: 'a@b', origin: 'smtp', revision: 1, to: [['x@y']] }),
    recipients: [{ r: 0, domain: 'y', state: 1 as const, tries: 1, nextAt: 4e12, cause: '450 '.repeat(50) }],
  }))
  const counts = { messages: 0, received: 0, delivered: 0, bounced: 0, discarded: 0 }
  const empty = { finished: [], cursors: [], update: [], remove: [], relocate: [], warned: [], overlay: [], orders: [] }
  for (let from = 0; from < n; from += 4000)
    await index.ask('commit', { ...empty, counts, insert: insert.slice(from, from + 4000) })
  await until('the changes are told', saysWaiting(told, n))
  told.position = -1
  await until('everything is told', () => told.position >= 0 && told.pages.at(-1)?.all === undefined)
  expect(saysWaiting(told, n)()).toBe(true)
  const sizes = told.pages.map((page) => JSON.stringify(page).length)
  expect(Math.max(...sizes)).toBeLessThan(2 * queuePageBytes)
  expect(told.pages.filter(({ all }) => all).length).toBeGreaterThan(2)
})
