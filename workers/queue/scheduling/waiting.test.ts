import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openLocalWriter } from '@postern/spool/local/writer.ts'
import { afterEach, expect, test } from 'vitest'
import { TestServer } from '../test/server.ts'
import { Testbed, until } from '../test/testbed.ts'

const open: { close(): Promise<void> }[] = []
const children: ChildProcess[] = []
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  for (const each of open.splice(0).reverse()) await each.close()
})

async function start(script: Parameters<typeof TestServer.start>[0], queue: object = {}) {
  const remote = await TestServer.start(script)
  open.push(remote)
  const box = await Testbed.open({ queue, domains: [{ name: 'a.test', route: remote.route }] })
  open.push(box)
  return { remote, box }
}
const busy = { command: (line: string) => (line.startsWith('RCPT') ? '450 4.2.1 busy' : undefined) }

test('what waits is there after a restart, with its tries', async () => {
  const { box, remote } = await start(busy)
  const id = await box.send(['jane@a.test'])
  await until('deferred', () => box.of('delivery.deferred', id).length === 1)
  await box.stopQueue()
  remote.script = {}
  await box.startQueue()
  expect(box.queue.index.opened).toMatchObject({ unclean: false, interrupted: 0 })
  expect(box.queue.status().waiting).toMatchObject({ messages: 1, recipients: 1 })
  await box.queue.index.ask('order', { action: 'retry', ids: [id], at: Date.now(), by: '', rerouted: '' })
  await until('delivered', () => box.of('delivery.delivered', id).length === 1)
  expect(box.of('delivery.delivered', id)[0]).toMatchObject({ attempt: 2 })
})

test('stopped, it takes mail over and delivers none; started, it goes on', async () => {
  const { box, remote } = await start({})
  await box.queue.stopDeliveries()
  for (let i = 0; i < 20; i++) await box.send([`u${i}@a.test`])
  await until('taken over', () => box.queue.status().waiting.recipients === 20)
  await new Promise((resolve) => setTimeout(resolve, 200))
  expect(remote.received).toEqual([])
  box.queue.startDeliveries()
  await until('delivered', () => box.queue.counters.delivered === 20)
})

test('a damaged queue.db is moved aside and rebuilt: nothing is lost', async () => {
  const { box, remote } = await start(busy)
  const ids = await Promise.all(Array.from({ length: 30 }, (_, i) => box.send([`u${i}@a.test`])))
  await until('deferred', () => box.queue.counters.deferred === 30)
  await box.stopQueue()
  const file = join(box.directory, 'queue', 'queue.db')
  for (const damage of ['nonsense'.repeat(1000), '', 'SQLite format 3\0'.padEnd(8192, '\x55')]) {
    await writeFile(file, damage)
    await writeFile(`${file}-wal`, damage)
    await box.startQueue({ deliver: false })
    expect(box.queue.status().waiting.recipients).toBe(30)
    await box.stopQueue()
  }
  remote.script = {}
  await box.startQueue()
  // They keep their tries, and with them the time of the next one.
  await box.queue.index.ask('hasten', { at: Date.now(), limit: 100 })
  await until('delivered', () => box.queue.counters.delivered === 30)
  expect(box.of('delivery.delivered').every(({ attempt }) => attempt === 2)).toBe(true)
  expect(new Set(box.of('delivery.delivered').map(({ messageId }) => messageId))).toEqual(new Set(ids))
  expect(
    (await readdir(join(box.directory, 'queue'))).filter((name) => /^queue\.db\.damaged-\d+$/.test(name)).length,
  ).toBeGreaterThan(0)
  expect(box.of('message.damaged')[0]).toMatchObject({ where: 'queue.db' })
})

test('segments in which nothing waits are given back; the few that wait long are copied on', async () => {
  const { box, remote } = await start({ command: (line) => (line.includes('later@') ? '450 4.2.1 busy' : undefined) })
  await box.receiver.close()
  box.receiver = await openLocalWriter({
    directory: join(box.directory, 'spool'),
    name: 'smtp-1',
    segmentBytes: 20_000,
  })
  const later = await box.send(['later@a.test'])
  for (let i = 0; i < 200; i++) await box.send([`u${i}@a.test`], { text: `Subject: x\r\n\r\n${'y'.repeat(500)}\r\n` })
  await until('delivered', () => box.queue.counters.delivered === 200 && box.queue.counters.deferred === 1)
  await box.queue.indexWriter.flush()
  const segments = () =>
    readdirSync(join(box.directory, 'spool', 'smtp-1')).filter((name) => name.endsWith('.seg')).length
  const before = segments()
  await box.queue.reclaim.now()
  await box.queue.reclaim.now()
  expect(before).toBeGreaterThan(5)
  expect(segments()).toBeLessThanOrEqual(2)
  remote.script = {}
  await box.queue.index.ask('order', { action: 'retry', ids: [later], at: Date.now(), by: '', rerouted: '' })
  await until('delivered', () => box.of('delivery.delivered', later).length === 1)
})

// Six processes start one after the other, seconds each on a busy machine: all else is quick.
test('kill -9 while delivering: everything is delivered at least once, and told', async () => {
  const remote = await TestServer.start({
    end: async () => {
      await new Promise((resolve) => setTimeout(resolve, 3))
      return undefined
    },
  })
  open.push(remote)
  const box = await Testbed.open()
  open.push(box)
  await box.stopQueue()
  const told = new Map<string, number>()
  const spawn = async () => {
    const child = fork(new URL('../test/child.ts', import.meta.url), [box.directory, String(remote.port)], {
      execArgv: [],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    children.push(child)
    child.on('message', (id: string) => told.set(id, (told.get(id) ?? 0) + 1))
    await once(child, 'message')
    return child
  }
  const sent: string[] = []
  for (let round = 0; round < 5; round++) {
    const child = await spawn()
    for (let i = 0; i < 100; i++) sent.push(await box.send([`u${i}@a.test`]))
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 200))
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  await spawn()
  const missing = () => sent.filter((id) => !told.has(id))
  await until('all told', () => missing().length === 0, 60_000)
  const received = remote.received.map(({ data }) => /^X-Id: (.*)\r$/m.exec(data)?.[1])
  expect(received.length).toBeGreaterThanOrEqual(sent.length)
  console.log(`kill -9 × 5: ${sent.length} messages, ${remote.received.length - sent.length} delivered twice`)
}, 180_000)
