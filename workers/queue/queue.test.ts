import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { TestServer } from './test/server.ts'
import { Testbed, until } from './test/testbed.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

async function server(...given: Parameters<typeof TestServer.start>): Promise<TestServer> {
  const started = await TestServer.start(...given)
  open.push(started)
  return started
}

async function bed(...given: Parameters<typeof Testbed.open>): Promise<Testbed> {
  const opened = await Testbed.open(...given)
  open.push(opened)
  return opened
}

test('from the spool to an SMTP server: once, whole, and told', async () => {
  const remote = await server()
  const { queue, ...b } = Object.assign(await bed({ domains: [{ name: 'a.test', route: remote.route }] }))
  void b
  const box = open.at(-1) as Testbed
  const id = await box.send(['jane@a.test', 'joe@a.test'], { text: 'Subject: x\r\n\r\n.dot\r\n..two\r\nend' })
  await until('delivered', () => box.of('delivery.delivered', id).length > 0)
  expect(remote.received).toHaveLength(1)
  expect(remote.received[0]).toMatchObject({
    sender: 'sender@sender.test',
    recipients: ['jane@a.test', 'joe@a.test'],
    data: 'Subject: x\r\n\r\n.dot\r\n..two\r\nend\r\n',
  })
  expect(box.of('delivery.delivered')[0]).toMatchObject({ attempt: 1, reply: '250 2.0.0 taken' })
  await queue.indexWriter.flush()
  expect(queue.status().waiting).toMatchObject({ messages: 0, recipients: 0 })
})

test('a thousand messages use few connections and leave nothing behind', async () => {
  const remote = await server()
  const box = await bed({ domains: [{ name: 'a.test', route: remote.route }] })
  const ids = new Set(await Promise.all(Array.from({ length: 1000 }, () => box.send(['jane@a.test']))))
  await until('all delivered', () => box.of('delivery.delivered').length === 1000)
  expect(new Set(box.of('delivery.delivered').map(({ messageId }) => messageId))).toEqual(ids)
  expect(remote.maxBusy).toBeLessThanOrEqual(5)
  expect(
    Math.max(...remote.sessions.map(({ commands }) => commands.filter((line) => line.startsWith('MAIL')).length)),
  ).toBeLessThanOrEqual(100)
  await box.queue.indexWriter.flush()
  expect(box.queue.status()).toMatchObject({ waiting: { messages: 0, recipients: 0 }, jobs: 0, inHand: 0 })
})

test('maildir: kept under domain and user, whatever the address says', async () => {
  const people = ['jane@b.test', '"../../../etc/x"@b.test']
  const box = await bed({ domains: [{ name: 'b.test', route: { type: 'maildir' } }], accounts: people })
  await box.send(people)
  await until('kept', () => box.of('delivery.delivered').length > 0 && box.queue.counters.delivered === 2)
  const home = join(box.directory, 'mail', 'b.test')
  expect((await readdir(home)).sort()).toEqual(['%22..%2f..%2f..%2fetc%2fx%22', 'jane'])
  const [name] = await readdir(join(home, 'jane', 'new'))
  expect(await readFile(join(home, 'jane', 'new', name as string), 'utf8')).toBe(
    'Return-Path: <sender@sender.test>\r\nDelivered-To: jane@b.test\r\nSubject: test\r\n\r\nHello.\r\n',
  )
})

test('nothing but the directory makes mailboxes', async () => {
  const domains = [{ name: 'b.test', route: { type: 'maildir' } }]
  const box = await bed({ domains, accounts: ['jane@b.test'] })
  // An address that is no account, whoever let it in; and the notification about it, to a sender who is none either.
  const id = await box.send(['gone@b.test', 'jane@b.test'], { sender: 'ghost@b.test' })
  await until('bounced', () => box.of('delivery.bounced', id).length === 1)
  expect(box.of('delivery.bounced', id)).toMatchObject([{ reply: 'there is no account gone@b.test', status: '5.1.1' }])
  await until('the notification is bounced, too', () => box.of('delivery.bounced').length === 2)
  expect(box.of('dsn.written')).toHaveLength(1)
  // An account that goes while its mail waits.
  await box.stopQueue()
  const late = await box.send(['jane@b.test'], { sender: '' })
  await box.startQueue({ deliver: false })
  box.apply({ domains, accounts: [] })
  box.queue.startDeliveries()
  await until('bounced', () => box.of('delivery.bounced', late).length === 1)
  expect(await readdir(join(box.directory, 'mail', 'b.test'))).toEqual(['jane'])
  expect(await box.mailOf('jane@b.test')).toHaveLength(1)
})

test('discard', async () => {
  const box = await bed({ domains: [{ name: 'c.test', route: { type: 'discard' } }] })
  const id = await box.send(['x@c.test'])
  await until('discarded', () => box.of('delivery.discarded', id).length === 1)
})
