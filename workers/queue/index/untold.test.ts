import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { queuePageSchema } from '@postern/contract/queue-mirror.ts'
import Database from 'better-sqlite3'
import { afterEach, expect, test } from 'vitest'
import { TestServer } from '../test/server.ts'
import { Testbed, until } from '../test/testbed.ts'

/** What is told of waiting mail: only of what has rows, each change once, and everything when that is not known. */

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

async function start(): Promise<{ box: Testbed; remote: TestServer }> {
  const remote = await TestServer.start({ command: (line) => (line.includes('later') ? '450 4.2.2 full' : undefined) })
  open.push(remote)
  const box = await Testbed.open({ domains: [{ name: 'a.test', route: remote.route }] })
  open.push(box)
  return { box, remote }
}

async function waits(box: Testbed, to: string[], change = {}): Promise<string> {
  const { deferred } = box.queue.counters
  const id = await box.send(to, change)
  await until('it waits', () => box.queue.counters.deferred > deferred)
  await box.queue.indexWriter.flush()
  return id
}

const untold = async (box: Testbed) => {
  await box.queue.indexWriter.flush()
  return (await box.queue.index.ask('untold', 0)) as NonNullable<Awaited<ReturnType<typeof ask>>>
}
const ask = (box: Testbed) => box.queue.index.ask('untold', 0)

/** Tells everything, as to a new API. */
async function tellEverything(box: Testbed) {
  const { page, position, last } = await box.queue.index.ask('everything', { after: 0, wallAhead: 0 })
  expect(last).toBe(true)
  await box.queue.index.ask('told', position)
  return page
}

test('a message that is delivered at once is never told; one that waits is told whole', async () => {
  const { box } = await start()
  await tellEverything(box)
  await box.send(['u@a.test'])
  const id = await waits(box, ['later@a.test', 'v@a.test'], { subject: 'Figures' })
  await until('delivered', () => box.queue.counters.delivered === 2)
  const { page, from, position, caughtUp, incarnation, counts } = await untold(box)
  expect({ caughtUp, gone: page.gone }).toEqual({ caughtUp: true, gone: [] })
  expect(page.waiting).toEqual([
    {
      id,
      worker: 'smtp-1',
      receivedAt: expect.any(Number),
      sender: 'sender@sender.test',
      size: 25,
      subject: 'Figures',
      origin: 'smtp',
      client: { ip: '127.0.0.1', helo: 'client.test' },
      revision: 1,
      recipients: [
        {
          address: 'later@a.test',
          original: 'later@a.test',
          attempts: 1,
          lastReply: expect.stringContaining('450 4.2.2 full'),
          cause: expect.any(String),
          waitingCause: 'mailbox-full',
          nextTryAt: expect.any(Number),
        },
      ],
    },
  ])
  expect(queuePageSchema.safeParse({ incarnation, from, to: position, ...page, counts }).error).toBeUndefined()
  expect(counts).toMatchObject({ received: 3, delivered: 2, waiting: 1 })
})

test('a change is told until it is known to have arrived, and then no more', async () => {
  const { box, remote } = await start()
  await tellEverything(box)
  const id = await waits(box, ['later@a.test'])
  const first = await untold(box)
  expect(await untold(box)).toEqual(first)
  await box.queue.index.ask('told', first.position)
  expect((await untold(box)).page).toEqual({ waiting: [], gone: [] })
  remote.script = {}
  await box.queue.index.ask('hasten', { at: Date.now() + 1e9, limit: 10 })
  await box.queue.index.ask('hasten', { at: Date.now() - 1, limit: 10 })
  await until('delivered', () => box.queue.counters.delivered === 1)
  const last = await untold(box)
  expect(last.page).toEqual({ waiting: [], gone: [id] })
  expect(last.from).toBe(first.position)
})

test('a hold and a release change what is told, and the reply stays', async () => {
  const { box } = await start()
  await tellEverything(box)
  const id = await waits(box, ['later@a.test'])
  const { index } = box.queue
  await index.ask('order', { action: 'hold', ids: [id], at: 0, by: 'ops', rerouted: '' })
  const [held] = (await untold(box)).page.waiting
  expect(held).toMatchObject({ hold: 'ops', recipients: [{ lastReply: expect.stringContaining('full') }] })
  expect(held?.recipients[0]).not.toHaveProperty('nextTryAt')
  await index.ask('order', { action: 'release', ids: [id], at: Date.now() + 60_000, by: 'ops', rerouted: '' })
  const [released] = (await untold(box)).page.waiting
  expect(released).not.toHaveProperty('hold')
  expect(released?.recipients[0]?.lastReply).toContain('full')
})

test('a message that a rule holds is told with its reason', async () => {
  const { box } = await start()
  await tellEverything(box)
  const id = await box.send(['u@a.test'], { hold: 'looks like spam' })
  await until('it is held', () => box.queue.status().waiting.byState.held === 1)
  await until('it is told', async () => (await untold(box)).page.waiting.length === 1)
  expect((await untold(box)).page.waiting).toMatchObject([{ id, hold: 'looks like spam' }])
})

test('everything is told again after the index was lost or put back older', async () => {
  const { box } = await start()
  await tellEverything(box)
  const ids = [await waits(box, ['later1@a.test'])]
  await box.stopQueue()
  const queue = join(box.directory, 'queue')
  await cp(queue, join(box.directory, 'older'), { recursive: true })
  await box.startQueue()
  ids.push(await waits(box, ['later2@a.test']))
  for (const older of [true, false]) {
    await box.stopQueue()
    await rm(queue, { recursive: true })
    if (older) await cp(join(box.directory, 'older'), queue, { recursive: true })
    await box.startQueue({ deliver: false })
    expect(await untold(box)).toBeUndefined()
    const page = await tellEverything(box)
    expect(page.waiting.map(({ id }) => id).sort()).toEqual(ids)
    expect((await untold(box)).caughtUp).toBe(true)
  }
})

test('what waited before the index kept summaries is told once it has one', async () => {
  const { box } = await start()
  const id = await waits(box, ['later@a.test'])
  await box.stopQueue()
  const db = new Database(join(box.directory, 'queue', 'queue.db'))
  db.exec('DELETE FROM summaries')
  db.close()
  await box.startQueue({ deliver: false })
  const found = await box.queue.index.ask('everything', { after: 0, wallAhead: 0 })
  expect(found).toMatchObject({ page: { waiting: [] }, unknown: [{ n: expect.any(Number) }] })
  const [{ n }] = found.unknown as [{ n: number; location: string }]
  const summary = JSON.stringify({ worker: 'smtp-1', receivedAt: 1, sender: '', origin: 'smtp', revision: 1, to: [] })
  await box.queue.index.ask('summaries', [{ n, summary }])
  expect((await tellEverything(box)).waiting).toMatchObject([{ id, recipients: [{ address: '?' }] }])
})
