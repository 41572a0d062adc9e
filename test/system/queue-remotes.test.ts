import { Dns } from '@postern/net/dns.ts'
import { TestServer } from '@postern/queue/test/server.ts'
import { Testbed, until } from '@postern/queue/test/testbed.ts'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { selfSigned } from '../peers/certificate.ts'
import { type Dns as DnsPeer, startDns } from '../peers/dns.ts'
import { startDovecot } from '../peers/dovecot.ts'
import { freePort } from '../peers/peer.ts'
import { startPostfix } from '../peers/postfix.ts'

/** The Queue Manager's client against real servers: Postfix by MX, Dovecot over LMTP, unbound as DNS server. */

const open: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

async function bed(...given: Parameters<typeof Testbed.open>) {
  const opened = await Testbed.open(...given)
  open.push(() => opened.close())
  return opened
}

test('Dovecot over LMTP: each recipient has its own outcome', async () => {
  const dovecot = await startDovecot({ users: ['jane@l.test', 'joe@l.test'] })
  open.push(() => dovecot.stop())
  const route = { type: 'lmtp', host: dovecot.host, port: dovecot.port }
  const box = await bed({ domains: [{ name: 'l.test', route }] })
  const id = await box.send(['jane@l.test', 'nobody@l.test', 'joe@l.test'], { text: 'Subject: x\r\n\r\n.dot\r\n' })
  await until(
    'both outcomes',
    () => box.of('delivery.delivered', id).length > 0 && box.of('delivery.bounced', id).length === 1,
  )
  expect(box.of('delivery.bounced', id)[0]).toMatchObject({ recipients: ['nobody@l.test'], status: '5.1.1' })
  await until(
    'both delivered',
    () => box.of('delivery.delivered', id).flatMap(({ recipients }) => recipients).length === 2,
  )
  expect((await dovecot.mail('jane@l.test'))[0]).toMatch(/\n\.dot\r?\n/)
  expect(await dovecot.mail('joe@l.test')).toHaveLength(1)
})

test('Postfix: STARTTLS, a refused recipient, several messages on a connection', async () => {
  const certificate = await selfSigned(['mx.p.test'])
  const postfix = await startPostfix({
    deliver: { to: 'maildir' },
    domains: ['p.test'],
    certificate,
    reject: { 'no@p.test': '550 5.1.1 no such user' },
  })
  open.push(() => postfix.stop())
  const route = { type: 'smtp', host: postfix.host, port: postfix.port, tls: 'opportunistic' }
  const box = await bed({ domains: [{ name: 'p.test', route }] })
  const id = await box.send(['jane@p.test', 'no@p.test'], { body: '8bitmime', text: 'Subject: x\r\n\r\nh\u00e4\r\n' })
  for (let i = 0; i < 20; i++) await box.send(['jane@p.test'])
  await until(
    'delivered',
    () => box.of('delivery.delivered').filter(({ remote }) => (remote as { port?: number }).port).length === 21,
    20_000,
  )
  expect(box.of('delivery.delivered', id)[0]?.remote).toMatchObject({ tls: expect.stringMatching(/^TLSv1\.[23]$/) })
  expect(box.of('delivery.bounced', id)[0]).toMatchObject({ recipients: ['no@p.test'], status: '5.1.1' })
  await until('kept', async () => (await postfix.mail('jane@p.test')).length === 21)
  expect(
    (await postfix.mail('jane@p.test')).some(
      (text) => Buffer.from(text).includes(Buffer.from('h\u00e4')) || text.includes('h\u00e4'),
    ),
  ).toBe(true)
})

describe('by MX', () => {
  let dns: DnsPeer
  let port: number
  const servers = new Map<string, TestServer>()
  beforeAll(async () => {
    port = await freePort('127.0.0.2')
    for (const host of ['127.0.0.2', '127.0.0.3']) servers.set(host, await TestServer.start({}, host, port))
    dns = await startDns({
      names: {
        'first.test': {
          mx: [
            [20, 'm3.test'],
            [10, 'm2.test'],
          ],
        },
        'backup.test': {
          mx: [
            [10, 'dead.test'],
            [20, 'm3.test'],
          ],
        },
        'address.test': { a: ['127.0.0.3'] },
        'null.test': { mx: 'null' },
        'fail.test': 'servfail',
        'slow.test': 'timeout',
        'us.test': { mx: [[10, 'mail.test']] },
        'mail.test': { a: ['127.0.0.9'] },
        'm2.test': { a: ['127.0.0.2'] },
        'm3.test': { a: ['127.0.0.3'] },
        'dead.test': { a: ['127.0.0.4'] },
      },
    })
  })
  afterAll(async () => {
    await dns.stop()
    for (const server of servers.values()) await server.close()
  })
  const box = () => bed({}, { dns: new Dns({ servers: [dns.server], timeoutMs: 300, tries: 1 }), outboundPort: port })

  test.each([
    ['first.test', 'm2.test', '127.0.0.2'],
    ['backup.test', 'm3.test', '127.0.0.3'],
    ['address.test', 'address.test', '127.0.0.3'],
  ])('%s is delivered to %s', async (domain, host, address) => {
    const b = await box()
    const id = await b.send([`jane@${domain}`])
    await until('delivered', () => b.of('delivery.delivered', id).length === 1)
    expect(b.of('delivery.delivered', id)[0]?.remote).toMatchObject({ host, address, port })
  })

  test.each([
    ['null.test', '5.1.10'],
    ['none.test', '5.1.2'],
    ['us.test', '5.4.6'],
  ])('%s bounces with %s', async (domain, status) => {
    const b = await box()
    const id = await b.send([`jane@${domain}`])
    await until('bounced', () => b.of('delivery.bounced', id).length === 1)
    expect(b.of('delivery.bounced', id)[0]).toMatchObject({ status })
  })

  test.each(['fail.test', 'slow.test'])('%s is deferred', async (domain) => {
    const b = await box()
    const id = await b.send([`jane@${domain}`])
    await until('deferred', () => b.of('delivery.deferred', id).length === 1)
    expect(b.of('delivery.deferred', id)[0]).toMatchObject({ cause: 'dns-failure' })
  })
})

test('after a failed TLS handshake the same attempt continues without TLS', async () => {
  const remote = await TestServer.start({
    extensions: ['PIPELINING', 'STARTTLS'],
    command: (line, session) => (line === 'STARTTLS' && session.number === 0 ? '220 go\r\nnot TLS at all' : undefined),
  })
  open.push(() => remote.close())
  const box = await bed({ domains: [{ name: 'a.test', route: remote.route }] })
  const id = await box.send(['jane@a.test'])
  await until('delivered', () => box.of('delivery.delivered', id).length === 1)
  expect(box.of('delivery.delivered', id)[0]).toMatchObject({ attempt: 1 })
  expect(remote.sessions).toHaveLength(2)
  box.apply({ domains: [{ name: 'a.test', route: { ...remote.route, tls: 'require' } }] })
  remote.script = {}
  const strict = await box.send(['joe@a.test'])
  await until('deferred', () => box.of('delivery.deferred', strict).length === 1)
  expect(box.of('delivery.deferred', strict)[0]).toMatchObject({ cause: 'no-tls' })
})
