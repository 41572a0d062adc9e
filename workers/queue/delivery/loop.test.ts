import type { Dns, Found } from '@postern/net/dns.ts'
import { afterEach, describe, expect, test } from 'vitest'
import { defaultTimeouts } from '../client/connect-options.ts'
import type { OwnAddresses } from '../route/hosts.ts'
import { ownAddressesFrom } from '../route/own-addresses.ts'
import { type Script, TestServer } from '../test/server.ts'
import { Testbed, until } from '../test/testbed.ts'

/** Whatever the address, a remote that greets as us is us. */

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

const found = <T>(value: T[]): Promise<Found<T[]>> => Promise.resolve({ kind: 'found', value })
const empty = (): Promise<Found<never[]>> => Promise.resolve({ kind: 'empty' })

/** `far.test` has MX hosts at 127.0.0.x, best first. */
function dns(addresses: string[]): Dns {
  const hosts = addresses.map((address, i) => ({ host: `m${i}.test`, preference: i, address }))
  return {
    mx: () => found(hosts),
    a: (name: string) => found(hosts.filter(({ host }) => host === name).map(({ address }) => address)),
    aaaa: empty,
    txt: empty,
    forget: () => {},
  } as unknown as Dns
}

const greets = (name: string): Script => ({ greeting: `220 ${name} ESMTP`, ehlo: `250-${name}\r\n250 8BITMIME` })

async function toMx(script: Script, hostname = 'mail.test') {
  const remote = await TestServer.start(script)
  open.push(remote)
  const box = await Testbed.open(
    { general: { hostname } },
    {
      timeouts: defaultTimeouts,
      dns: dns(['127.0.0.1']),
      outboundPort: remote.port,
      ownAddresses: () => us(hostname, 0),
    },
  )
  open.push(box)
  return { remote, box }
}

const us = (hostname: string, port: number): OwnAddresses => ({
  hostname,
  isOurs: () => false,
  listensOn: (at) => at === port,
})

test.each<[string, Script]>([
  ['in its greeting', { greeting: '220 mail.test ESMTP Postern' }],
  ['in its greeting, in capitals', { greeting: '220-MAIL.TEST hello\r\n220 go on' }],
  ['in its reply to EHLO', { ehlo: '250-mail.test at your service\r\n250 8BITMIME' }],
])('an MX host that names itself as we do %s: mail loops, and comes back at once', async (_name, script) => {
  const { box, remote } = await toMx(script)
  const id = await box.send(['jane@far.test'])
  await until('bounced', () => box.of('delivery.bounced', id).length === 1, 60_000)
  expect(box.of('delivery.bounced', id)[0]).toMatchObject({ status: '5.4.6', cause: 'loop' })
  expect(String(box.of('delivery.bounced', id)[0]?.reply)).toContain('loops back to this server')
  expect(remote.received).toEqual([])
})

test.each<[string, Script, string]>([
  ['another name', greets('other.test'), 'mail.test'],
  ['our name as part of its own', greets('x.mail.test'), 'mail.test'],
  ['a bare name that many have', greets('localhost'), 'localhost'],
  ['a name that many have', greets('localhost.localdomain'), 'localhost.localdomain'],
])('an MX host with %s gets its mail', async (_name, script, hostname) => {
  const { box } = await toMx(script, hostname)
  await box.send(['jane@far.test'])
  await until('delivered', () => box.queue.counters.delivered === 1, 60_000)
})

describe('a route to a host that an administrator named', () => {
  async function toRoute(port: (remote: TestServer) => number) {
    const remote = await TestServer.start(greets('mail.test'))
    open.push(remote)
    const rows = { domains: [{ name: 'a.test', route: remote.route }] }
    const box = await Testbed.open(rows, {
      timeouts: defaultTimeouts,
      ownAddresses: () => us('mail.test', port(remote)),
    })
    open.push(box)
    return box
  }

  test('may carry our name on another port: the old server behind the new one', async () => {
    const box = await toRoute(() => 0)
    await box.send(['jane@a.test'])
    await until('delivered', () => box.queue.counters.delivered === 1, 60_000)
  })

  test('that greets as us on our own port is us', async () => {
    const box = await toRoute(({ port }) => port)
    await box.send(['jane@a.test'])
    await until('bounced', () => box.of('delivery.bounced').length === 1, 60_000)
    expect(box.of('delivery.bounced')[0]).toMatchObject({ status: '5.4.6' })
  })
})

test('a better MX host that is away is waited for, although we are the next', async () => {
  const remote = await TestServer.start({ greeting: '220 mail.test ESMTP' })
  open.push(remote)
  const parts = {
    timeouts: { ...defaultTimeouts, connect: 5000 },
    outboundPort: remote.port,
    ownAddresses: () => us('mail.test', 0),
  }
  const box = await Testbed.open({}, { ...parts, dns: dns(['127.0.0.77', '127.0.0.1']) })
  open.push(box)
  await box.send(['jane@far.test'])
  await until('deferred', () => box.of('delivery.deferred').length === 1, 60_000)
  expect(box.of('delivery.bounced')).toEqual([])
})

describe('our addresses', () => {
  const listens = { port: 25, submissionPort: 587, implicitTlsPort: 465, extraPorts: [2626] }
  const everywhere = ownAddressesFrom({
    env: { POSTERN_SMTP_PORT: '2525' },
    settings: { hostname: 'Mail.Test', listens },
    interfaces: () => ['192.0.2.9', '2001:db8::9'],
  })

  test.each([
    '0.0.0.0',
    '::',
    '::1',
    '127.0.0.1',
    '127.8.8.8',
    '::ffff:127.0.0.1',
    '::ffff:0.0.0.0',
    '0:0:0:0:0:0:0:1',
    '192.0.2.9',
    '::ffff:192.0.2.9',
    '2001:DB8:0::9',
  ])('%s', (address) => {
    expect(everywhere.isOurs(address, 2525)).toBe(true)
    expect(everywhere.isOurs(address, 2526)).toBe(false)
  })

  test.each(['192.0.2.10', '::ffff:192.0.2.10', '2001:db8::a'])('%s is not', (address) => {
    expect(everywhere.isOurs(address, 2525)).toBe(false)
  })

  test('our ports are those of the settings, where the environment does not say otherwise', () => {
    expect([2525, 2626].map(everywhere.listensOn)).toEqual([true, true])
    expect([25, 10_025].map(everywhere.listensOn)).toEqual([false, false])
  })

  test('bound to one address, the others of this machine are other servers', () => {
    const one = ownAddressesFrom({
      env: { POSTERN_SMTP_PORT: '25', POSTERN_BIND: '127.0.0.5' },
      settings: { hostname: 'mail.test', listens },
      interfaces: () => ['192.0.2.9'],
    })
    expect(['127.0.0.5', '127.0.0.1', '192.0.2.9'].map((address) => one.isOurs(address, 25))).toEqual([
      true,
      false,
      false,
    ])
  })
})
