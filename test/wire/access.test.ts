import { proxyHeader, type WireClient } from '@postern/smtp/test/wire-client.ts'
import { describe, expect, it } from 'vitest'
import { until } from '../peers/peer.ts'
import { homeDomain, livePostern } from './live.ts'

const live = livePostern({
  prepare: async (live) => {
    await homeDomain(live)
    // A balancer for the tests. Through it, a client can have any address, also IPv6.
    await live.set('advanced', { proxyProtocol: ['127.0.0.50'] })
  },
})

/** Connects a client with this address according to the balancer. */
function from(ip: string) {
  return live.connect({ from: '127.0.0.50', first: proxyHeader(ip) })
}

async function isRefused(ip: string) {
  const client = await from(ip)
  const reply = await client.expect(554, '5.7.1')
  expect(await client.closed()).toBe('closed')
  return reply
}

async function isServed(ip: string) {
  const client = await from(ip)
  await client.hello()
  await client.quit()
}

describe('Control Access', () => {
  it('refuses an address with 554 5.7.1 and closes; serves it again without the entry', async () => {
    await isServed('192.0.2.7')
    const entry = await live.add('control-access', { value: '192.0.2.7', comment: 'sends junk' })
    const reply = await isRefused('192.0.2.7')
    expect(reply.raw).toContain('192.0.2.7')
    await isServed('192.0.2.8')
    await live.remove('control-access', entry)
    await isServed('192.0.2.7')
  })

  it('executes nothing after the refusal', async () => {
    await live.add('control-access', '127.0.0.10')
    const client = await live.connect({ from: '127.0.0.10', first: 'EHLO x.test\r\nMAIL FROM:<a@b.test>\r\nQUIT\r\n' })
    await client.expect(554, '5.7.1')
    expect(await client.closed()).toBeDefined()
    expect(client.pending).toBe(0)
  })

  it('an open session continues when its address is denied; the next one is refused', async () => {
    const open = await live.greeted({ from: '127.0.0.11' })
    await live.add('control-access', '127.0.0.11')
    await open.mail({ from: 'x@b.test', to: 'ann@home.test', content: 'Subject: still open\r\n' })
    await (await live.connect({ from: '127.0.0.11' })).expect(554, '5.7.1')
  })

  it('the most specific entry wins, over IPv4 and IPv6', async () => {
    await live.add('control-access', '192.0.2.0/24')
    await live.add('control-access', { value: '192.0.2.64/26', action: 'grant' })
    await live.add('control-access', { value: '192.0.2.70', action: 'deny' })
    await live.add('control-access', '2001:db8::/32')
    await live.add('control-access', { value: '2001:db8:1::/48', action: 'grant' })
    await isRefused('192.0.2.1')
    await isServed('192.0.2.65')
    await isRefused('192.0.2.70')
    await isServed('198.51.100.1')
    await isRefused('2001:db8::1')
    await isServed('2001:db8:1::1')
    await isServed('2001:db9::1')
  })

  it('with defaultAccess denied only entries may connect', async () => {
    await live.add('control-access', '192.0.2.0/24')
    await live.add('control-access', { value: '192.0.2.9', action: 'deny' })
    await live.set('security', { defaultAccess: 'denied' })
    await isServed('192.0.2.1')
    await isRefused('192.0.2.9')
    await isRefused('198.51.100.1')
    await live.set('security', { defaultAccess: 'granted' })
    await isRefused('192.0.2.1')
    await isServed('198.51.100.1')
  })

  it('an entry ends by itself when it expires', async () => {
    const expiresAt = new Date(Date.now() + 2500).toISOString()
    await live.add('control-access', { value: '192.0.2.33', expiresAt })
    await isRefused('192.0.2.33')
    await until('the entry has expired', () => Date.now() > Date.parse(expiresAt) + 50)
    await isServed('192.0.2.33')
    // Whether removed or not, it has no effect.
    await live.add('control-access', '192.0.2.33')
    await isRefused('192.0.2.33')
  })

  it('the refusal is an event that names rule, entry and revision', async () => {
    await live.add('control-access', '203.0.113.0/24')
    await isRefused('203.0.113.5')
    const refused = await live.event('session.refused', ({ client }) => (client as { ip: string }).ip === '203.0.113.5')
    expect(refused.verdict).toMatchObject({
      stage: 'connect',
      rule: 'control-access',
      reason: 'access-denied',
      explanation: [expect.stringContaining('203.0.113.0/24')],
    })
  })
})

describe('concurrent sessions', () => {
  it('maxConnectionsPerAddress: 421 4.7.0 above it, except for the White List; 0 is no limit', async () => {
    await live.set('advanced', { maxConnectionsPerAddress: 2 })
    const first = await live.greeted({ from: '127.0.0.20' })
    await live.greeted({ from: '127.0.0.20' })
    const third = await live.connect({ from: '127.0.0.20' })
    await third.expect(421, '4.7.0')
    expect(await third.closed()).toBe('closed')
    await live.greeted({ from: '127.0.0.21' })

    await first.quit()
    const again = await oncePlaceIsFree('127.0.0.20')
    const white = await live.add('white', '127.0.0.16/28')
    await live.greeted({ from: '127.0.0.20' })
    await live.remove('white', white)
    await (await live.connect({ from: '127.0.0.20' })).expect(421, '4.7.0')
    await live.set('advanced', { maxConnectionsPerAddress: 0 })
    await live.greeted({ from: '127.0.0.20' })
    await again.quit()
  })

  it('maxThreads: 421 4.3.2 above it', async () => {
    // One is the session that stays open across changes.
    await live.set('advanced', { maxThreads: 2 })
    const second = await live.greeted()
    const third = await live.connect()
    await third.expect(421, '4.3.2')
    expect(await third.closed()).toBe('closed')
    await second.quit()
    await oncePlaceIsFree('127.0.0.1')
  })
})

/** A session counts until both sides have closed, so it may still count for a moment after the client sees the end. */
async function oncePlaceIsFree(from: string): Promise<WireClient> {
  let client: WireClient | undefined
  const served = async () => {
    client = await live.connect({ from })
    const { code } = await client.expect([220, 421])
    return code === 220
  }
  await until(`${from} is served`, served)
  return client as WireClient
}
