import { afterEach, expect, test } from 'vitest'
import { TestServer } from '../test/server.ts'
import { Testbed, until } from '../test/testbed.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

async function server(...given: Parameters<typeof TestServer.start>) {
  const started = await TestServer.start(...given)
  open.push(started)
  return started
}
async function bed(...given: Parameters<typeof Testbed.open>) {
  const opened = await Testbed.open(...given)
  open.push(opened)
  return opened
}
/** Answers the end of data only when the test says so. */
function patient() {
  const waiting: ((said: string) => void)[] = []
  return { end: () => new Promise<string>((resolve) => waiting.push(resolve)), waiting }
}
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

test('deliveries under way: in all, to one domain, and changed while mail waits', async () => {
  const script = patient()
  const remote = await server(script)
  const domains = ['a', 'b', 'c', 'd'].map((name) => ({ name: `${name}.test`, route: remote.route }))
  const box = await bed({ domains, queue: { perDomainConnections: 2, deliveryThreads: 6, retryThreads: 2 } })
  for (let i = 0; i < 40; i++) await box.send([`u${i}@${'abcd'[i % 4]}.test`])
  await until('six under way', () => script.waiting.length === 6)
  await pause(200)
  expect(box.queue.status().busy).toBe(6)
  expect(remote.maxBusy).toBe(6)
  box.apply({ queue: { perDomainConnections: 3, deliveryThreads: 9, retryThreads: 2 } })
  await until('nine under way', () => script.waiting.length === 9)
  remote.script = {}
  for (const answer of script.waiting) answer('250 ok')
  await until('all', () => box.queue.counters.delivered === 40)
})

test('one domain takes no more than its turn', async () => {
  const order: string[] = []
  const remote = await server({ end: (session) => void order.push(session.recipients[0] ?? '') as never })
  const domains = ['big', 'small'].map((name) => ({ name: `${name}.test`, route: remote.route }))
  const box = await bed({ domains, queue: { deliveryThreads: 5, retryThreads: 2, perDomainConnections: 5 } })
  await box.queue.stopDeliveries()
  for (let i = 0; i < 500; i++) await box.send([`u${i}@big.test`])
  for (let i = 0; i < 5; i++) await box.send([`u${i}@small.test`])
  await until('taken over', () => box.queue.status().jobs === 505)
  box.queue.startDeliveries()
  await until('all', () => box.queue.counters.delivered === 505)
  expect(order.findLastIndex((to) => to.endsWith('small.test'))).toBeLessThan(250)
})

test('new mail does not wait behind retries', async () => {
  const script = patient()
  const slow = await server({ command: (line) => (line.startsWith('RCPT') ? '450 4.2.1 busy' : undefined) })
  const quick = await server()
  const domains = [
    ...Array.from({ length: 10 }, (_, i) => ({ name: `slow${i}.test`, route: slow.route })),
    { name: 'quick.test', route: quick.route },
  ]
  const box = await bed({ domains, queue: { deliveryThreads: 5, retryThreads: 2 } })
  for (let i = 0; i < 50; i++) await box.send([`u${i}@slow${i % 10}.test`])
  await until('deferred', () => box.queue.counters.deferred === 50)
  await box.queue.indexWriter.flush()
  slow.script = script
  while ((await box.queue.index.ask('hasten', { at: Date.now(), limit: 1000 })) > 0);
  await until('retries hang', () => script.waiting.length === 2)
  await pause(300)
  expect(script.waiting.length).toBe(2)
  await box.send(['new@quick.test'])
  await until('new mail', () => quick.received.length === 1, 2000)
  slow.script = {}
  for (const answer of script.waiting) answer('250 ok')
  await until('old mail', () => box.queue.counters.delivered === 51)
})

test('so many within a minute, at once and no more, with an override', async () => {
  const remote = await server()
  const domains = ['a', 'b'].map((name) => ({ name: `${name}.test`, route: remote.route }))
  const queue = { perDomainPerMinute: 3, perDomain: [{ domain: 'b.test', perMinute: 0 }] }
  const box = await bed({ domains, queue })
  for (let i = 0; i < 20; i++) await box.send([`u${i}@${i % 2 ? 'a' : 'b'}.test`])
  const count = (domain: string) => remote.received.filter(({ recipients }) => recipients[0]?.endsWith(domain)).length
  await until('b unthrottled', () => count('b.test') === 10, 2000)
  await until('as many of a as may go', () => count('a.test') === 3, 2000)
  await pause(500)
  expect(count('a.test')).toBe(3)
  box.apply({ queue: { perDomainPerMinute: 5 } })
  await until('two more', () => count('a.test') === 5, 2000)
  box.apply({ queue: { perDomainPerMinute: 0 } })
  await until('all of a', () => count('a.test') === 10, 2000)
})

test('a route that changes moves what waits', async () => {
  const [first, second] = [await server(), await server()]
  const box = await bed({ domains: [{ name: 'a.test', route: first.route }] })
  await box.queue.stopDeliveries()
  await box.send(['jane@a.test'])
  await until('taken over', () => box.queue.status().jobs === 1)
  box.apply({ domains: [{ name: 'a.test', route: second.route }] })
  box.queue.startDeliveries()
  await until('delivered', () => second.received.length === 1)
  expect(first.received).toEqual([])
})
