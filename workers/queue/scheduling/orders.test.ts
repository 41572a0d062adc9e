import type { Order } from '@postern/contract/orders.ts'
import { afterEach, expect, test } from 'vitest'
import { TestServer } from '../test/server.ts'
import { Testbed, until } from '../test/testbed.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

async function waiting() {
  const remote = await TestServer.start({ command: (line) => (line.startsWith('RCPT') ? '450 4.2.1 busy' : undefined) })
  open.push(remote)
  const box = await Testbed.open({ domains: [{ name: 'a.test', route: remote.route }] })
  open.push(box)
  const id = await box.send(['jane@a.test', 'joe@a.test'])
  await until('deferred', () => box.of('delivery.deferred', id).length === 1)
  return { remote, box, id }
}

let last = 0
async function give(box: Testbed, order: Partial<Order> & Pick<Order, 'action'>, orderId = `order-${++last}`) {
  const whole: Order = { orderedBy: 'ops@test', orderedAt: new Date().toISOString(), ...order }
  box.queue.orders.take(new Map([[orderId, whole]]))
  await until('carried out', () => box.events.some((event) => event.type === 'order.done' && event.orderId === orderId))
  return box.events.find((event) => event.type === 'order.done' && event.orderId === orderId)?.matched
}
const states = (box: Testbed) => box.queue.status().waiting.byState

test('hold, release, retry', async () => {
  const { box, remote, id } = await waiting()
  remote.script = {}
  expect(await give(box, { action: 'hold', messageIds: [id] })).toBe(1)
  expect(box.of('message.held', id)).toMatchObject([{ by: 'ops@test' }])
  expect(states(box)).toEqual({ active: 0, deferred: 0, held: 2 })
  expect(await give(box, { action: 'retry', messageIds: [id] })).toBe(1)
  expect(states(box).held).toBe(2)
  await give(box, { action: 'release', messageIds: [id] })
  await until('delivered', () => box.of('delivery.delivered', id).length === 1)
  expect(box.of('delivery.delivered', id)[0]).toMatchObject({ attempt: 2, recipients: ['jane@a.test', 'joe@a.test'] })
  await until('gone', () => box.queue.status().waiting.messages === 0)
})

test('retry now, and run for everything', async () => {
  const { box, remote, id } = await waiting()
  await give(box, { action: 'retry', messageIds: [id] })
  await until('tried', () => box.of('delivery.deferred', id).length === 2)
  await box.queue.indexWriter.flush()
  remote.script = {}
  expect(await give(box, { action: 'run' })).toBe(2)
  await until('delivered', () => box.of('delivery.delivered', id).length === 1)
})

test('bounce goes back to the sender, delete does not; each says by whom', async () => {
  const { box, id } = await waiting()
  expect(await give(box, { action: 'bounce', messageIds: [id] })).toBe(1)
  expect(box.of('delivery.bounced', id)[0]).toMatchObject({
    recipients: ['jane@a.test', 'joe@a.test'],
    reply: 'returned by ops@test',
    cause: 'ordered',
  })
  await until('notification', async () => (await box.mailOf('sender@sender.test')).length === 1)
  const other = await box.send(['x@a.test'], { hold: 'by rule' })
  await until('held', () => states(box).held === 1)
  expect(await give(box, { action: 'delete', messageIds: [other] })).toBe(1)
  expect(box.of('delivery.discarded', other)).toMatchObject([{ by: 'ops@test', recipients: ['x@a.test'] }])
  expect(box.of('dsn.written')).toHaveLength(1)
  await until('empty', () => box.queue.status().waiting.recipients === 0)
})

test('reroute', async () => {
  const { box, id } = await waiting()
  const other = await TestServer.start()
  open.push(other)
  await give(box, { action: 'reroute', messageIds: [id], to: { host: '127.0.0.1', port: other.port } })
  await until('delivered', () => box.of('delivery.delivered', id).length === 1)
  expect(other.received).toHaveLength(1)
  expect(box.of('message.rerouted', id)).toMatchObject([{ to: `127.0.0.1:${other.port}`, by: 'ops@test' }])
})

test('an order is carried out once, also by the next process; unknown messages match nothing', async () => {
  const { box, id } = await waiting()
  await give(box, { action: 'hold', messageIds: [id] }, 'once')
  await give(box, { action: 'release', messageIds: [id] })
  await box.stopQueue()
  await box.startQueue()
  const hold: Order = { action: 'hold', messageIds: [id], orderedBy: 'ops@test', orderedAt: new Date().toISOString() }
  box.queue.orders.take(new Map([['once', hold]]))
  expect(await give(box, { action: 'hold', messageIds: ['018f0000-0000-7000-8000-000000000000'] })).toBe(0)
  expect(box.of('message.held', id)).toHaveLength(1)
  expect(states(box).held).toBe(0)
})

test('an order meets mail that is being delivered', async () => {
  let answer: (said: string) => void = () => {}
  const remote = await TestServer.start({
    end: () =>
      new Promise<string>((resolve) => {
        answer = resolve
      }),
  })
  open.push(remote)
  const box = await Testbed.open({ domains: [{ name: 'a.test', route: remote.route }] })
  open.push(box)
  const id = await box.send(['jane@a.test'])
  await until('at the remote', () => remote.received.length === 1)
  const done = give(box, { action: 'delete', messageIds: [id] })
  await new Promise((resolve) => setTimeout(resolve, 100))
  answer('450 4.2.1 busy')
  expect(await done).toBe(1)
  expect(box.of('delivery.discarded', id)).toHaveLength(1)
  expect(box.of('delivery.deferred', id)).toEqual([])
  await until('empty', () => box.queue.status().waiting.recipients === 0)
})

test.each([
  ['hold', 'message.held'],
  ['bounce', 'delivery.bounced'],
  ['delete', 'delivery.discarded'],
] as const)('%s meets a message that is just being brought for its next try', async (action, event) => {
  const { box, id } = await waiting()
  const read = box.reader.readEnvelope.bind(box.reader)
  let brought = false
  box.reader.readEnvelope = async (location) => {
    brought = true
    await new Promise((resolve) => setTimeout(resolve, 200))
    return read(location)
  }
  await give(box, { action: 'retry', messageIds: [id] })
  await until('it is on its way', () => brought)
  expect(await give(box, { action, messageIds: [id] })).toBe(1)
  expect(box.of(event, id).length).toBeGreaterThan(0)
  await box.queue.indexWriter.flush()
  // The notification of a bounce may still be on its way.
  await until('nothing is under way', () => states(box).active === 0)
  expect(states(box)).toEqual({ active: 0, deferred: 0, held: action === 'hold' ? 2 : 0 })
})
