import { afterEach, expect, test } from 'vitest'
import { TestServer } from '../test/server.ts'
import { Testbed, until } from '../test/testbed.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

async function toServer() {
  const remote = await TestServer.start({ extensions: ['PIPELINING', '8BITMIME'] })
  open.push(remote)
  const box = await Testbed.open({ domains: [{ name: 'a.test', route: remote.route }] })
  open.push(box)
  return { remote, box }
}

const to = (address: string, forwardedBy?: string) => ({ address, ...(forwardedBy && { forwardedBy }) })
const text = 'Subject: test\r\n\r\nHello.\r\n'

test('what an account forwards says so, and what others get does not', async () => {
  const { remote, box } = await toServer()
  await box.send([to('jane@a.test', 'ann@b.test'), to('joe@a.test'), to('zoe@a.test', 'ann@b.test')])
  // Enough of them to be sent ahead on one connection.
  for (let i = 0; i < 20; i++) await box.send([to(`n${i}@a.test`, i % 2 ? 'bob@b.test' : undefined)])
  await until('all are there', () => box.queue.counters.delivered === 23)
  for (const { recipients, data } of remote.received) {
    const odd = Number(/\d+/.exec(recipients[0] ?? '')?.[0] ?? 0) % 2 === 1
    const by = recipients[0] === 'jane@a.test' ? 'ann@b.test' : odd ? 'bob@b.test' : undefined
    expect(data, recipients.join()).toBe(by ? `Delivered-To: ${by}\r\n${text}` : text)
  }
  expect(remote.received.map(({ recipients }) => recipients)).toContainEqual(['jane@a.test', 'zoe@a.test'])
})

test('what comes back to an account is not forwarded by it again', async () => {
  const { remote, box } = await toServer()
  const fields = Array.from({ length: 2000 }, (_, i) => `X-Trace-${i}: ${'x'.repeat(60)}\r\n`).join('')
  const looping = { text: `${fields}Delivered-To:  Ann@B.test\r\n${text}` }
  const id = await box.send([to('jane@a.test', 'ann@b.test'), to('joe@a.test', 'bob@b.test')], looping)
  await until('settled', () => box.queue.counters.delivered === 1 && box.of('delivery.bounced', id).length === 1)
  expect(box.of('delivery.bounced', id)).toMatchObject([{ recipients: ['jane@a.test'], status: '5.4.6' }])
  expect(remote.received.map(({ recipients }) => recipients)).toEqual([['joe@a.test']])
})
