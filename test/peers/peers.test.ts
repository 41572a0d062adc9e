import { Resolver } from 'node:dns/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { describe, expect, it } from 'vitest'
import { launchChromium } from './chromium.ts'
import { startDns } from './dns.ts'
import { startDovecot } from './dovecot.ts'
import { peersOfEachTest } from './failure.ts'
import { startHaproxy } from './haproxy.ts'
import { freePort, startPeer, temporaryDirectory, until } from './peer.ts'
import { startSmtpSink } from './smtp-sink.ts'
import { runSmtpSource } from './smtp-source.ts'
import { runSwaks } from './swaks.ts'

const keep = peersOfEachTest()

it('a program that exits at once is reported with its output', async () => {
  const program = { name: 'broken', command: 'sh', args: ['-c', 'echo no such luck; exit 3'], host: '127.0.0.1' }
  const start = startPeer({ ...program, port: await freePort(), directory: await temporaryDirectory('broken') })
  await expect(start).rejects.toThrow('no such luck')
})

it('smtp-sink counts, stores and refuses as configured', async () => {
  const sink = await keep(startSmtpSink({ keep: true }))
  await runSmtpSource({
    ...sink,
    sessions: 2,
    messages: 6,
    bytes: 200,
    reuse: true,
    to: 'u@c.test',
    distinctRecipients: true,
  })
  await until('six are counted', () => sink.received().messages === 6)
  const messages = await sink.messages()
  expect(messages.flatMap((message) => message.recipients).sort()).toEqual(
    [1, 2, 3, 4, 5, 6].map((n) => `${n}u@c.test`),
  )
  expect(messages[0]).toMatchObject({ sender: 'source@load.test', helo: 'source.test' })
  expect(messages[0]?.content).toMatch(/^Received: /)
  const refusing = await keep(startSmtpSink({ rejectHard: ['RCPT'] }))
  const run = runSmtpSource({ ...refusing, sessions: 1, messages: 1, bytes: 10, reuse: true })
  await expect(run).rejects.toThrow('smtp-source ended')
})

it('dovecot accepts mail for its users over LMTP and refuses others', async () => {
  const dovecot = await keep(startDovecot({ users: ['ann@d.test'] }))
  const lmtp = ['--protocol', 'LMTP', '--from', 'x@b.test']
  const taken = await runSwaks(dovecot, [...lmtp, '--to', 'ann@d.test', '--body', 'hello ann'])
  expect(taken.output).toContain('Saved')
  expect((await dovecot.mail('ann@d.test'))[0]).toContain('hello ann')
  const refused = await runSwaks(dovecot, [...lmtp, '--to', 'eve@d.test'])
  expect(refused.output).toContain('550 5.1.1')
})

it.each([
  ['v1', 'PROXY TCP4 127.0.0.1 '],
  ['v2', '\r\n\r\n\0\r\nQUIT\n'],
] as const)('haproxy puts the %s header before the bytes of the client', async (header, begins) => {
  let got = ''
  const server = createServer((socket) => {
    socket
      .on('error', () => {})
      .on('data', (bytes) => {
        got += bytes.toString('latin1')
      })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.3', resolve))
  const { port } = server.address() as AddressInfo
  const balancer = await keep(startHaproxy({ to: { host: '127.0.0.3', port }, header }))
  connect(balancer.port, balancer.host)
    .on('error', () => {})
    .end('hello')
  await until('the bytes of the client came after the header', () => got.indexOf('hello') > got.indexOf(begins))
  expect(got).toContain(begins)
  server.close()
})

describe('dns', () => {
  it('answers from the zone, and from a changed one', async () => {
    const dns = await keep(
      startDns({
        names: {
          'a.test': { mx: [[10, 'mx.a.test']], txt: ['v=spf1 -all', 'x'.repeat(300)] },
          'mx.a.test': { a: ['127.0.0.9'], aaaa: ['::1'] },
          'null.test': { mx: 'null' },
          'empty.test': {},
          'broken.test': 'servfail',
          'slow.test': 'timeout',
        },
        ptr: { '127.0.0.9': 'mx.a.test' },
      }),
    )
    const resolver = new Resolver({ timeout: 700, tries: 1 })
    resolver.setServers([dns.server])
    expect(await resolver.resolveMx('a.test')).toMatchObject([{ priority: 10, exchange: 'mx.a.test' }])
    expect((await resolver.resolveTxt('a.test')).map((parts) => parts.join('')).sort()).toEqual([
      'v=spf1 -all',
      'x'.repeat(300),
    ])
    expect(await resolver.resolve4('mx.a.test')).toEqual(['127.0.0.9'])
    expect(await resolver.resolve6('mx.a.test')).toEqual(['::1'])
    expect(await resolver.reverse('127.0.0.9')).toEqual(['mx.a.test'])
    expect(await resolver.resolveMx('null.test')).toMatchObject([{ priority: 0, exchange: '' }])
    await expect(resolver.resolveMx('empty.test')).rejects.toMatchObject({ code: 'ENODATA' })
    await expect(resolver.resolveMx('nowhere.test')).rejects.toMatchObject({ code: 'ENOTFOUND' })
    await expect(resolver.resolveMx('broken.test')).rejects.toMatchObject({ code: 'ESERVFAIL' })
    await expect(resolver.resolveMx('slow.test')).rejects.toMatchObject({ code: 'ETIMEOUT' })
    await dns.change({ names: { 'a.test': { a: ['127.0.0.8'] } } })
    expect(await resolver.resolve4('a.test')).toEqual(['127.0.0.8'])
    await expect(resolver.resolve4('mx.a.test')).rejects.toMatchObject({ code: 'ENOTFOUND' })
  })
})

it('chromium shows a page', async () => {
  const browser = await launchChromium()
  try {
    const page = await browser.newPage()
    await page.setContent('<button onclick="this.textContent = `pressed`">press</button>')
    await page.click('button')
    expect(await page.textContent('button')).toBe('pressed')
  } finally {
    await browser.close()
  }
})
