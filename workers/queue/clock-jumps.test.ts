import { rm } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { TestServer } from './test/server.ts'
import { Testbed, until } from './test/testbed.ts'

/** The machine's clock is set while mail waits, or while no Queue Manager runs. `pass` lets time go by for all clocks. */

const minute = 60_000
const hour = 60 * minute
const year = 365 * 24 * hour
const jumps = [
  ['an hour forward', hour],
  ['an hour back', -hour],
  ['a year forward', year],
  ['a year back', -year],
] as const

const open: { close(): Promise<void> }[] = []
beforeEach(() => {
  vi.useFakeTimers({
    toFake: ['Date', 'performance', 'setInterval', 'clearInterval'],
    now: Date.parse('2026-11-30T12:00:00Z'),
  })
})
afterEach(async () => {
  vi.useRealTimers()
  for (const each of open.splice(0).reverse()) await each.close()
})

const setBy = (ms: number) => vi.setSystemTime(Date.now() + ms)
const pass = (ms: number) => vi.advanceTimersByTime(ms)

/** Once a second the Queue Manager compares its clock with the machine's. The rest: it has gone through all that is due now, from its first look to the end of the last delivery. */
async function look({ queue }: Testbed): Promise<void> {
  pass(1000)
  const asked = vi.spyOn(queue.index, 'ask')
  const looks = () => asked.mock.calls.filter(([question]) => question === 'domains').length
  await soon(queue, 'two looks, and so one from beginning to end', () => looks() >= 2)
  asked.mockRestore()
  await until('no delivery is left', () => queue.scheduler.jobs + queue.scheduler.busy === 0)
  await queue.indexWriter.flush()
}

/** It looks once a second; here it is sent to look at once. */
async function soon(queue: Testbed['queue'], what: string, holds: () => unknown): Promise<void> {
  await until(what, () => {
    queue.startDeliveries()
    return holds()
  })
}

async function start(queue: object = {}): Promise<Testbed> {
  const remote = await TestServer.start({
    command: (line) => (line.startsWith('RCPT') ? '450 4.2.1 busy' : undefined),
  })
  open.push(remote)
  const settings = { retryTimerMinutes: 30, retryBackoff: 'exponential', maxQueueHours: 2, delayWarningHours: 0 }
  const box = await Testbed.open({
    domains: [{ name: 'a.test', route: remote.route }],
    queue: { ...settings, ...queue },
  })
  open.push(box)
  return box
}

const tries = (box: Testbed, id: string) => box.of('delivery.deferred', id).length
const returned = (box: Testbed) => box.of('delivery.bounced').length

async function deferred(box: Testbed, id: string, times = 1): Promise<void> {
  await soon(box.queue, `deferred ${times} times`, () => tries(box, id) === times)
  await box.queue.indexWriter.flush()
}

describe.each(jumps)('%s', (_, by) => {
  test('what waits is tried when it would have been, and returned when it would have been', async () => {
    const box = await start()
    const id = await box.send(['x@a.test'])
    await deferred(box, id)
    setBy(by)
    await look(box)
    expect(tries(box, id)).toBe(1)
    expect(returned(box)).toBe(0)
    pass(20 * minute)
    await look(box)
    expect(tries(box, id)).toBe(1)
    pass(15 * minute)
    await deferred(box, id, 2)
    setBy(-by)
    await look(box)
    expect(tries(box, id)).toBe(2)
    pass(70 * minute)
    await deferred(box, id, 3)
    expect(returned(box)).toBe(0)
    pass(60 * minute)
    await soon(box.queue, 'returned', () => returned(box) === 1)
    expect(box.of('clock.jumped').map(({ seconds }) => seconds)).toEqual([by / 1000, -by / 1000])
  })

  test('the sender is warned of the delay when it is one', async () => {
    const box = await start({ delayWarningHours: 1, maxQueueHours: 100 })
    const id = await box.send(['x@a.test'])
    await deferred(box, id)
    setBy(by)
    pass(35 * minute)
    await deferred(box, id, 2)
    expect(box.of('dsn.written')).toEqual([])
    pass(70 * minute)
    await deferred(box, id, 3)
    expect(box.of('dsn.written')).toMatchObject([{ about: id, action: 'delayed' }])
  })

  test('mail received before and taken over after is as old as it is', async () => {
    const box = await start({ maxQueueHours: 1, delayWarningHours: 1 })
    pass(5 * minute)
    const receivedAt = Date.now()
    setBy(by)
    const id = await box.send(['x@a.test'], { receivedAt })
    await soon(box.queue, 'tried', () => tries(box, id) + returned(box) === 1)
    expect(returned(box)).toBe(0)
    expect(box.of('dsn.written')).toEqual([])
    await box.queue.indexWriter.flush()
    pass(70 * minute)
    await soon(box.queue, 'returned', () => returned(box) === 1)
  })

  test('while no Queue Manager runs: nothing is returned, and what waits is tried within its retry time', async () => {
    const box = await start({ maxQueueHours: 1 })
    const id = await box.send(['x@a.test'])
    await deferred(box, id)
    await box.stopQueue()
    setBy(by)
    const between = await box.send(['x@a.test'], { receivedAt: Date.now() - 5 * minute })
    await box.startQueue()
    await deferred(box, between)
    pass(33 * minute)
    await soon(box.queue, 'tried again', () => tries(box, id) >= 2)
    expect(returned(box)).toBe(0)
    expect(box.of('clock.jumped')).toHaveLength(by < 0 ? 1 : 0)
  })

  test('an index that is lost after it: what is known of the schedule strands nothing', async () => {
    const box = await start({ maxQueueHours: 100 })
    setBy(by)
    pass(1000)
    const id = await box.send(['x@a.test'])
    await deferred(box, id)
    await box.stopQueue()
    setBy(-by)
    for (const suffix of ['', '-wal', '-shm']) await rm(`${box.directory}/queue/queue.db${suffix}`, { force: true })
    await box.startQueue()
    pass(100 * minute)
    await soon(box.queue, 'tried again', () => tries(box, id) >= 2)
    expect(returned(box)).toBe(0)
  })
})

test('held mail is released at once after a jump', async () => {
  const box = await start()
  const id = await box.send(['x@a.test'], { hold: 'test' })
  await until('in the index', async () => {
    await box.queue.indexWriter.flush()
    return box.queue.index.counts.recipients[2] === 1
  })
  setBy(-year)
  const orderedAt = new Date().toISOString()
  box.queue.orders.take(new Map([['o1', { action: 'release', messageIds: [id], orderedBy: 'ann', orderedAt }]]))
  await deferred(box, id)
})
