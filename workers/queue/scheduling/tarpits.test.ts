import { createSocket } from 'node:dgram'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { Dns } from '@postern/net/dns.ts'
import { test as base, describe, expect } from 'vitest'
import { defaultTimeouts } from '../client/connect-options.ts'
import { type Script, TestServer } from '../test/server.ts'
import { Testbed, until } from '../test/testbed.ts'

/** Hosts that hold deliveries up hold up nobody else's mail, and no stop. */

type Opened = { close(): Promise<void> }[]

/** What a test opens is its own: those that only wait for hosts run side by side. */
const test = base.extend<{ open: Opened }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads from the pattern what a fixture needs.
  open: async ({}, use) => {
    const open: Opened = []
    await use(open)
    for (const each of open.reverse()) await each.close()
  },
})

async function bed(open: Opened, ...given: Parameters<typeof Testbed.open>) {
  const opened = await Testbed.open(...given)
  open.push(opened)
  return opened
}

/** More silent hosts than there are places, each with mail for all its connections. */
const slots = { deliveryThreads: 5, retryThreads: 2, perDomainConnections: 5 }
const silentHosts = Array.from({ length: 8 }, (_, i) => `127.0.1.${i + 1}`)
const atVerb = (verb: string): Script => ({
  extensions: ['STARTTLS'],
  command: (line) => (line.startsWith(verb) ? (verb === 'STARTTLS' ? '220 go on' : 'silence') : undefined),
})
const stalls: [string, Script][] = [
  ['before the greeting', { greeting: 'silence' }],
  ['at EHLO', { ehlo: 'silence' }],
  ['in the TLS handshake', atVerb('STARTTLS')],
  ['at MAIL', { command: (line) => (line.startsWith('MAIL') ? 'silence' : undefined) }],
  ['at DATA', { extensions: [], command: (line) => (line.startsWith('DATA') ? 'silence' : undefined) }],
  ['at the end of data', { end: () => 'silence' }],
]

/** Servers for all these addresses on one port, as MX hosts are. */
async function hosts(open: Opened, addresses: readonly string[], script: Script, port = 0): Promise<TestServer[]> {
  const servers: TestServer[] = []
  for (const address of addresses) {
    const server = await TestServer.start(script, address, servers[0]?.port ?? port)
    servers.push(server)
    open.push(server)
  }
  return servers
}

describe.concurrent('eight hosts that say nothing more', () => {
  test.for(stalls)('%s: local mail and a host that answers are served', async ([, script], { open }) => {
    const silent = await hosts(open, silentHosts, script)
    const port = (silent[0] as TestServer).port
    const [good] = await hosts(open, ['127.0.2.1'], {}, port)
    const box = await bed(open, { queue: slots }, { outboundPort: port })
    for (let i = 0; i < 40; i++) await box.send([`u${i}@[${silentHosts[i % 8]}]`])
    await until('every place has been taken', () => silent.filter(({ sessions }) => sessions.length > 0).length >= 2)
    for (let i = 0; i < 20; i++) await box.send(['sender@sender.test'])
    for (let i = 0; i < 20; i++) await box.send([`u${i}@[127.0.2.1]`])
    await until('local mail', async () => (await box.mailOf('sender@sender.test')).length === 20)
    await until('mail to the host that answers', () => good?.received.length === 20, 20_000)
    expect(box.queue.counters.deferred).toBe(0)
    box.apply({ advanced: { drainTimeoutSeconds: 1 } })
  })

  test('as hosts of routes: mailboxes and a route that answers are served', async ({ open }) => {
    const [silent] = await hosts(open, ['127.0.1.9'], { greeting: 'silence' })
    const [good] = await hosts(open, ['127.0.2.2'], {})
    const webhook = await sink(open)
    const lmtp = { type: 'lmtp', host: '127.0.1.9', port: silent?.port }
    const domains = [
      ...Array.from({ length: 10 }, (_, i) => ({ name: `lmtp${i}.test`, route: lmtp })),
      ...Array.from({ length: 3 }, (_, i) => ({ name: `hook${i}.test`, route: { type: 'webhook', url: webhook } })),
      { name: 'good.test', route: { ...good?.route, host: '127.0.2.2' } },
    ]
    const box = await bed(open, { queue: slots, domains, advanced: { drainTimeoutSeconds: 1 } })
    for (let i = 0; i < 65; i++) await box.send([`u${i}@${domains[i % 13]?.name}`])
    for (let i = 0; i < 10; i++) await box.send(['sender@sender.test', `u${i}@good.test`])
    await until('local mail', async () => (await box.mailOf('sender@sender.test')).length === 10)
    await until('the route that answers', () => good?.received.length === 10, 20_000)
    expect(box.queue.counters.deferred).toBe(0)
  })
})

test.concurrent('retries to silent hosts do not hold up retries of local mail', async ({ open }) => {
  const silent = await hosts(open, silentHosts, { greeting: '421 4.3.2 later' })
  const port = (silent[0] as TestServer).port
  const [local] = await hosts(open, ['127.0.2.3'], { greeting: '421 4.3.2 later' })
  const domains = [{ name: 'local.test', route: { ...local?.route, host: '127.0.2.3' } }]
  const box = await bed(open, { queue: slots, domains, advanced: { drainTimeoutSeconds: 1 } }, { outboundPort: port })
  for (const address of silentHosts) await box.send([`jane@[${address}]`])
  await box.send(['jane@local.test'])
  await until('deferred', () => box.queue.counters.deferred === 9)
  await box.queue.indexWriter.flush()
  for (const server of silent) server.script = { greeting: 'silence' }
  if (local) local.script = {}
  box.queue.forget()
  while ((await box.queue.index.ask('hasten', { at: Date.now(), limit: 1000 })) > 0);
  await until('local mail', () => local?.received.length === 1, 20_000)
})

test.concurrent('a DNS that does not answer holds up neither mailboxes nor address literals', async ({ open }) => {
  const [good] = await hosts(open, ['127.0.2.4'], {})
  const dns = new Dns({ servers: ['127.0.3.1:9'], timeoutMs: 60_000, tries: 1 })
  // Something that listens and says nothing, so that no ICMP tells.
  const socket = createSocket('udp4').bind(9, '127.0.3.1')
  open.push({ close: async () => void socket.close() })
  const queue = { queue: slots, advanced: { drainTimeoutSeconds: 1 } }
  const box = await bed(open, queue, { dns, outboundPort: good?.port ?? 25 })
  for (let i = 0; i < 40; i++) await box.send([`jane@d${i}.test`])
  await box.send(['sender@sender.test', 'jane@[127.0.2.4]'])
  await until('local mail', async () => (await box.mailOf('sender@sender.test')).length === 1)
  await until('the literal', () => good?.received.length === 1, 20_000)
})

test.concurrent('a destination that has not proved itself holds at most half of the places', async ({ open }) => {
  const release: (() => void)[] = []
  const slow = await hosts(open, silentHosts, {
    end: () => new Promise((resolve) => release.push(() => resolve(undefined))),
  })
  const port = (slow[0] as TestServer).port
  const [good] = await hosts(open, ['127.0.2.5'], {}, port)
  const box = await bed(open, { queue: { ...slots, deliveryThreads: 6 } }, { outboundPort: port })
  await box.send(['first@[127.0.2.5]'])
  await until('proved', () => good?.received.length === 1)
  for (let i = 0; i < 40; i++) await box.send([`u${i}@[${silentHosts[i % 8]}]`])
  await until('three under way', () => release.length >= 3)
  await box.send(['second@[127.0.2.5]'])
  await until('the other is served', () => good?.received.length === 2)
  for (const server of slow) server.script = {}
  for (const each of release) each()
  await until('all', () => box.queue.counters.delivered === 42, 20_000)
})

describe.concurrent('a stop', () => {
  test.for(stalls)(
    'with a host that stands still %s ends with the drain time, and nothing is counted',
    async ([, script], { open }) => {
      const [silent] = await hosts(open, ['127.0.1.1'], script)
      const box = await bed(open, { advanced: { drainTimeoutSeconds: 1 } }, { outboundPort: silent?.port ?? 25 })
      const id = await box.send(['jane@[127.0.1.1]'])
      await until('under way', () => (silent?.sessions.length ?? 0) > 0)
      await box.stopQueue()
      expect(box.of('delivery.deferred', id)).toMatchObject([{ cause: 'stopped' }])
      await until('the connection is gone', () => silent?.busy === 0)
      await box.startQueue({ deliver: false })
      expect(box.queue.index.opened).toMatchObject({ unclean: false, interrupted: 0 })
      expect(box.queue.status().waiting.recipients).toBe(1)
      if (silent) silent.script = {}
      box.queue.startDeliveries()
      await until('delivered', () => box.of('delivery.delivered', id).length === 1)
      expect(box.of('delivery.delivered', id)[0]).toMatchObject({ attempt: 1 })
      expect(silent?.received.filter(({ data }) => data).length).toBeLessThanOrEqual(2)
    },
  )

  test('of deliveries alone, and a start after it: what was broken off is delivered once', async ({ open }) => {
    const [silent] = await hosts(open, ['127.0.1.2'], { greeting: 'silence' })
    const box = await bed(open, { advanced: { drainTimeoutSeconds: 1 } }, { outboundPort: silent?.port ?? 25 })
    for (let i = 0; i < 3; i++) await box.send([`u${i}@[127.0.1.2]`])
    await until('under way', () => box.queue.status().busy > 0)
    await box.queue.stopDeliveries()
    expect(box.queue.status().busy).toBe(0)
    if (silent) silent.script = {}
    box.queue.startDeliveries()
    await until('delivered', () => box.queue.counters.delivered === 3)
    expect(silent?.received).toHaveLength(3)
  })

  test('while a webhook, S3 and the DNS do not answer', async ({ open }) => {
    const url = await sink(open)
    const domains = [
      { name: 'hook.test', route: { type: 'webhook', url } },
      { name: 's3.test', route: { type: 's3', bucket: 'mail', prefix: '' } },
    ]
    const env = {
      POSTERN_HOOKS_MAY_REACH: '127.0.0.0/8',
      POSTERN_S3_ENDPOINT: url,
      POSTERN_S3_ACCESS_KEY_ID: 'x',
      POSTERN_S3_SECRET_ACCESS_KEY: 'x',
    }
    const rows = { domains, advanced: { drainTimeoutSeconds: 1 }, queue: { perDomainConnections: 1 } }
    const box = await bed(open, rows, { env, timeouts: defaultTimeouts })
    await box.send(['a@hook.test', 'b@s3.test'])
    await until('under way', () => box.queue.status().busy === 2)
    await box.stopQueue()
    expect(box.of('delivery.deferred').map(({ cause }) => cause)).toEqual(['stopped', 'stopped'])
  })
})

/** Something that takes connections and never answers; its URL. */
async function sink(open: Opened): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}))
    socket.resume()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push({
    close: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
