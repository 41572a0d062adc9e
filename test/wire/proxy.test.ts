import { connect } from '@postern/smtp/test/wire-client.ts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startHaproxy } from '../peers/haproxy.ts'
import type { Peer } from '../peers/peer.ts'
import { homeDomain, livePostern } from './live.ts'

/** Proves [advanced.proxyProtocol]. */

const live = livePostern({ prepare: homeDomain })

let balancers: Record<'v1' | 'v2' | 'none', Peer>
beforeAll(async () => {
  const to = { host: live.postern.host, port: live.postern.smtpPort }
  const start = (header: 'v1' | 'v2' | 'none') => startHaproxy({ to, header, from: '127.0.0.80' })
  balancers = { v1: await start('v1'), v2: await start('v2'), none: await start('none') }
})
afterAll(async () => {
  for (const balancer of Object.values(balancers ?? {})) await balancer.stop()
})

const through = (header: 'v1' | 'v2' | 'none', from = '127.0.0.81') =>
  live.connect({ port: balancers[header].port, from })

describe('proxyProtocol', () => {
  it.each(['v1', 'v2'] as const)(
    '%s from HAProxy: the client is who it says, for rules, trace and events',
    async (header) => {
      await live.set('advanced', { proxyProtocol: ['127.0.0.80/32'] })
      const before = (await live.mail('ann@home.test')).length
      const client = await through(header)
      await client.hello()
      await client.mail({ from: 'x@far.test', to: 'ann@home.test', content: `Subject: through ${header}\r\n` })
      const mail = (await live.arrived('ann@home.test', before + 1)).at(-1)
      expect(mail).toContain('Received: from client.test ([127.0.0.81])')
      await live.add('control-access', '127.0.0.81')
      const denied = await through(header)
      expect((await denied.expect(554, '5.7.1')).raw).toContain('127.0.0.81')
      const other = await through(header, '127.0.0.82')
      await other.hello()
    },
  )

  it('a trusted balancer must send a header: 421 4.7.0 and an event', async () => {
    await live.set('advanced', { proxyProtocol: ['127.0.0.80'] })
    const client = await through('none')
    await client.say('EHLO client.test').expect(421, '4.7.0')
    expect(await client.closed()).toBeDefined()
    const event = await live.event('session.error', ({ detail }) => String(detail).includes('PROXY'))
    expect(event.client).toMatchObject({ ip: '127.0.0.80' })
  })

  it('without the setting the balancer is the client, and its header is a protocol error', async () => {
    const plain = await through('none')
    await plain.hello()
    for (const header of ['v1', 'v2'] as const) {
      const client = await through(header)
      await client.expect(220)
      await client.expect([421, 500, 502, 503, 554])
    }
  })

  it.each([
    ['v1', 'PROXY TCP4 10.0.0.1 10.0.0.2 1 25\r\n'],
    ['v2', Buffer.from('0d0a0d0a000d0a515549540a2111000c0a0000010a00000200010019', 'hex')],
  ])('%s from anyone else is a protocol error and is not believed', async (_header, first) => {
    await live.set('advanced', { proxyProtocol: ['127.0.0.80'] })
    await live.add('control-access', { value: '10.0.0.1', action: 'grant' })
    const client = await live.connect({ from: '127.0.0.83', first })
    await client.expect(220)
    const reply = await client.expect(/^[45]\d\d /)
    expect(reply.code).toBeGreaterThanOrEqual(421)
    const error = await live.event('session.error', (event) => (event.client as { ip: string }).ip === '127.0.0.83')
    expect(error.reason).toBe('protocol-error')
  })

  it.each([
    'PROXY TCP4 999.0.0.1 10.0.0.2 1 25\r\n',
    'PROXY TCP4 10.0.0.1 10.0.0.2 1\r\n',
    `PROXY ${'x'.repeat(200)}\r\n`,
    'PROXY TCP6 10.0.0.1 10.0.0.2 1 25\r\n',
    Buffer.from('0d0a0d0a000d0a515549540a3111000c0a0000010a00000200010019', 'hex'),
  ])('a broken header from a trusted balancer is 421 and close', async (first) => {
    await live.set('advanced', { proxyProtocol: ['127.0.0.80'] })
    const client = await live.connect({ from: '127.0.0.80', first })
    await client.expect(421, '4.7.0')
    expect(await client.closed()).toBeDefined()
    const healthy = await through('v2')
    await healthy.hello()
  })

  it('UNKNOWN and LOCAL are the balancer itself: its health check', async () => {
    await live.set('advanced', { proxyProtocol: ['127.0.0.80'] })
    for (const first of ['PROXY UNKNOWN\r\n', Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex')]) {
      const client = await live.connect({ from: '127.0.0.80', first })
      await client.hello()
      await client.quit()
    }
  })

  it('a header and the whole dialogue in one packet are both read', async () => {
    await live.set('advanced', { proxyProtocol: ['127.0.0.80'] })
    const first = 'PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\nEHLO all.test\r\nMAIL FROM:<x@far.test>\r\nQUIT\r\n'
    const client = await connect({ port: live.postern.smtpPort, from: '127.0.0.80', first })
    for (const code of [220, 250, 250, 221]) await client.expect(code)
  })
})
