import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { QueueCounts } from '@postern/contract/queue-mirror.ts'
import { afterEach, expect, test } from 'vitest'
import { TestServer } from '../test/server.ts'
import { Testbed, until } from '../test/testbed.ts'

/** received = delivered + bounced + discarded + waiting, in every transaction, whatever becomes of the process and the files. */

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

async function start(): Promise<Testbed> {
  const remote = await TestServer.start({
    command: (line) => {
      if (line.includes('later')) return '450 4.2.1 busy'
      return line.includes('never') ? '550 5.1.1 no such user' : undefined
    },
  })
  open.push(remote)
  const box = await Testbed.open({
    domains: [
      { name: 'a.test', route: remote.route },
      { name: 'gone.test', route: { type: 'discard' } },
    ],
  })
  open.push(box)
  return box
}

const counted = (box: Testbed) => box.queue.index.ask('counted')

function balance({ received, delivered, bounced, discarded, waiting }: QueueCounts): number {
  return received - delivered - bounced - discarded - waiting
}

/** Milliseconds in which what is done gets into the index. */
async function settled(box: Testbed): Promise<void> {
  await until('nothing is only in memory', async () => {
    await box.queue.indexWriter.flush()
    return box.queue.status().waiting.byState.active === 0
  })
}

test('every outcome is counted once, those of recipients with a row and those without', async () => {
  const box = await start()
  await box.send(['u@a.test'])
  await box.send(['x@gone.test', 'y@gone.test'])
  await box.send(['u@a.test', 'v@a.test', 'later@a.test'])
  // Its sender is told, which is one more.
  await box.send(['never@a.test'])
  await until('all was tried', () => {
    const { delivered, bounced, discarded, deferred } = box.queue.counters
    return delivered === 4 && bounced === 1 && discarded === 2 && deferred === 1
  })
  await settled(box)
  const now = await counted(box)
  expect(now).toMatchObject({ messages: 5, received: 8, delivered: 4, bounced: 1, discarded: 2, waiting: 1 })
  expect(balance(now)).toBe(0)
})

test('an order that ends a message is counted with it', async () => {
  const box = await start()
  const id = await box.send(['later@a.test', 'later2@a.test'])
  await until('both wait', () => box.queue.counters.deferred === 2)
  await settled(box)
  const orderedAt = new Date().toISOString()
  box.queue.orders.take(new Map([['o', { action: 'delete', messageIds: [id], orderedBy: 'ops', orderedAt }]]) as never)
  await box.queue.orders.settled()
  await settled(box)
  expect(await counted(box)).toMatchObject({ received: 2, discarded: 2, waiting: 0 })
})

test('the counts survive a stop, a kill, and a lost, an older and a damaged index', async () => {
  const box = await start()
  const send = async (later: number, now: number) => {
    const { deferred, delivered } = box.queue.counters
    for (let i = 0; i < now; i++) await box.send([`u${i}@a.test`])
    for (let i = 0; i < later; i++) await box.send([`later${i}@a.test`])
    await until(
      'tried',
      () => box.queue.counters.deferred === deferred + later && box.queue.counters.delivered === delivered + now,
    )
    await settled(box)
  }
  await send(3, 20)
  const first = await counted(box)
  expect(first).toMatchObject({ received: 23, delivered: 20, waiting: 3 })
  await box.stopQueue()
  const queue = join(box.directory, 'queue')
  await cp(queue, join(box.directory, 'older'), { recursive: true })
  await box.startQueue()
  expect(await counted(box)).toEqual(first)

  await send(2, 10)
  const second = await counted(box)
  expect(second).toMatchObject({ id: first.id, received: 35, delivered: 30, waiting: 5 })
  // As kill -9 leaves it.
  await cp(queue, join(box.directory, 'killed'), { recursive: true })
  await box.stopQueue()
  for (const [name, delivered] of [
    ['killed', 30],
    ['older', 30],
    ['nothing', 30],
  ] as const) {
    await box.stopQueue()
    await rm(queue, { recursive: true })
    if (name !== 'nothing') await cp(join(box.directory, name), queue, { recursive: true })
    await box.startQueue({ deliver: false })
    await settled(box)
    const now = await counted(box)
    expect({ name, balance: balance(now), id: now.id, delivered: now.delivered }).toEqual({
      name,
      balance: 0,
      id: first.id,
      delivered,
    })
  }
})

test('an index from before the counts begins with what waits', async () => {
  const box = await start()
  await box.send(['later@a.test'])
  await until('it waits', () => box.queue.counters.deferred === 1)
  await box.stopQueue()
  const { default: Database } = await import('better-sqlite3')
  for (const file of [join(box.directory, 'queue', 'queue.db'), join(box.directory, 'spool', 'index.db')]) {
    const db = new Database(file)
    db.exec('DROP TABLE counts')
    db.close()
  }
  await box.startQueue({ deliver: false })
  expect(await counted(box)).toMatchObject({ received: 1, delivered: 0, waiting: 1 })
})
