import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Script, TestServer } from '../test/server.ts'
import { Testbed, until } from '../test/testbed.ts'

/** What one attempt deferred together is tried, warned about and returned together. */

const open: { close(): Promise<void> }[] = []
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'] })
})
afterEach(async () => {
  vi.useRealTimers()
  for (const each of open.splice(0).reverse()) await each.close()
})

/** More than are loaded of one domain at a time. */
const many = Array.from({ length: 700 }, (_, i) => `u${i}@a.test`)

async function start(script: Script, rows: Parameters<typeof Testbed.open>[0] = {}) {
  const remote = await TestServer.start(script)
  open.push(remote)
  const box = await Testbed.open({ domains: [{ name: 'a.test', route: remote.route }], ...rows })
  open.push(box)
  const transactions = () =>
    remote.sessions.flatMap(({ commands }) => commands.filter((line) => line.startsWith('MAIL'))).length
  return { remote, box, transactions }
}

/** Waits until what was deferred is in the index, and lets time pass until the first of it is due. */
async function nextTry(box: Testbed, tries: number, recipients: number): Promise<void> {
  const deferred = () => box.queue.counters.deferred === tries * recipients
  await until(`deferred ${tries} times`, deferred)
  await box.queue.indexWriter.flush()
  const due = await box.queue.index.ask('domains', { after: '', limit: 1000 })
  vi.advanceTimersByTime(Math.max(0, Math.min(...due.map(([, dueAt]) => dueAt)) - Date.now()))
}

const notNow = { command: (line: string) => (line === 'DATA' ? '451 4.3.0 not now' : undefined) }

test('each try of a message to many is one transaction, and so are the warning and the return', async () => {
  // On a used connection the refusal would be asked about once more.
  const queue = { triesBeforeReturn: 3, delayWarningHours: 1, retryTimerMinutes: 240, reuseConnections: false }
  const { box, transactions } = await start(notNow, { queue })
  await box.send(many)
  await nextTry(box, 1, many.length)
  expect(transactions()).toBe(1)
  await nextTry(box, 2, many.length)
  expect(transactions()).toBe(2)
  await until('returned', () => box.queue.counters.bounced === many.length)
  expect(transactions()).toBe(3)
  expect(box.of('dsn.written').map(({ action }) => action)).toEqual(['delayed', 'failed'])
})

test('recipients at many domains that one gateway takes together stay together', async () => {
  const remote = await TestServer.start(notNow)
  open.push(remote)
  const gateway = { host: '127.0.0.1', port: remote.port, tls: 'none' }
  const box = await Testbed.open({ general: { gateway } })
  open.push(box)
  const to = Array.from({ length: 60 }, (_, i) => `jane@d${i}.test`)
  await box.send(to)
  await nextTry(box, 1, to.length)
  await until('tried again', () => box.queue.counters.deferred === 2 * to.length)
  const rcpts = remote.sessions.flatMap(({ rcpts: each }) => each.length)
  expect(rcpts).toEqual(remote.sessions.map(() => to.length))
})

test('recipients whose answers differed wait for the same time', async () => {
  const { box, remote, transactions } = await start({
    command: (line) =>
      line.startsWith('RCPT') && /u[0-4]@/.test(line)
        ? `45${Number(/u(\d)/.exec(line)?.[1]) % 2} 4.2.1 busy`
        : undefined,
  })
  await box.send(many.slice(0, 20))
  await until('the others', () => box.queue.counters.delivered === 15)
  const before = transactions()
  await nextTry(box, 1, 5)
  remote.script = {}
  await until('all', () => box.queue.counters.delivered === 20)
  expect(transactions() - before).toBe(1)
})
