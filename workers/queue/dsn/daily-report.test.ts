import type { Order } from '@postern/contract/orders.ts'
import { uuidv7 } from 'uuidv7'
import { afterEach, expect, test } from 'vitest'
import { Testbed, until } from '../test/testbed.ts'

let box: Testbed
afterEach(() => box.close())

const order = (change: Partial<Order> = {}): Order => ({
  action: 'report',
  worker: 'queue-1',
  report: {
    messageId: uuidv7(),
    to: 'boss@sender.test',
    subject: 'Daily report for 2026-11-21',
    text: 'Received 1\nBounced 2',
  },
  orderedBy: 'system',
  orderedAt: new Date().toISOString(),
  ...change,
})

test('a report is one message, also when its order is met again by the next process', async () => {
  box = await Testbed.open({
    aliases: [{ address: 'boss@sender.test', to: ['ann@sender.test'] }],
    accounts: ['ann@sender.test'],
  })
  const daily = order()
  box.queue.orders.take(new Map([['report-1', daily]]))
  await until('it is there', async () => (await box.mailOf('ann@sender.test')).length === 1)
  const [text] = await box.mailOf('ann@sender.test')
  expect(text).toContain('Subject: Daily report for 2026-11-21\r\n')
  expect(text).toMatch(/\r\n\r\nReceived 1\r\nBounced 2\r\n$/)
  expect(box.of('message.accepted')).toMatchObject([{ origin: 'report', sender: '' }])
  // As after a crash between the message and the note that the order is done.
  box.queue.orders.take(new Map([['report-1 again', daily]]))
  await box.queue.orders.settled()
  await box.stopQueue()
  await box.startQueue()
  box.queue.orders.take(new Map([['report-1', daily]]))
  await box.queue.orders.settled()
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(await box.mailOf('ann@sender.test')).toHaveLength(1)
})

test('an order for another worker is left to that one', async () => {
  box = await Testbed.open({ accounts: ['boss@sender.test'] })
  box.queue.orders.take(new Map([['report-1', order({ worker: 'queue-2' })]]))
  await box.queue.orders.settled()
  expect(box.of('order.done')).toEqual([])
})
