import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../peers/peer.ts'
import {
  banner,
  entryOf,
  failedLogin,
  greeted,
  type SecondWorker,
  startSecondWorker,
  staysOut,
  untilRefused,
} from './attackers.ts'
import { homeDomain, livePostern, password } from './live.ts'

/** Failed logins, counted over two workers: what happens to the address, and which addresses are never blocked. */

const live = livePostern({
  prepare: async (live) => {
    await homeDomain(live)
    await live.set('advanced', { allowPlainWithoutTls: true })
  },
})
let second: SecondWorker
beforeAll(async () => {
  second = await startSecondWorker(live.postern)
})
afterAll(() => second?.stop())
const ports = () => [live.postern.smtpPort, second.smtpPort] as const

/** Fails to log in `count` times, on both workers in turn. */
async function attack(from: string, times: number): Promise<void> {
  for (let i = 0; i < times; i++) await failedLogin(ports()[i % 2] as number, from, `user${i}`)
}

describe('an attack spread over two workers', () => {
  it('is refused by both, with an entry that gives the reason, and an event', async () => {
    const from = '127.1.0.1'
    await attack(from, 5)
    const took = await Promise.all(ports().map((port) => untilRefused(port, from)))
    console.info(`blocked by both workers after ${took.map(Math.round).join(' and ')} ms`)
    const entry = await entryOf(live.postern, from)
    expect(entry).toMatchObject({ action: 'deny', createdBy: 'system:harvesting' })
    expect(entry?.reason).toMatch(/^5 failed logins within 10 minutes; the limit is 5$/)
    expect(entry?.evidence?.join('\n')).toMatch(/smtp-1: failed login as "user0" by PLAIN/)
    expect(entry?.evidence?.join('\n')).toMatch(/smtp-2: failed login as "user1" by PLAIN/)
    expect(JSON.stringify(entry)).not.toContain('not her password')
    const left = Date.parse(entry?.expiresAt ?? '') - Date.now()
    expect(left).toBeGreaterThan(29 * 60_000)
    expect(left).toBeLessThanOrEqual(30 * 60_000)
    const event = await live.event('address.blocked', ({ address }) => address === from)
    expect(event).toMatchObject({ kind: 'failed-login', expiresAt: entry?.expiresAt })
    const refused = await live.event('session.refused', ({ client }) => (client as { ip: string }).ip === from)
    expect(refused.verdict).toMatchObject({ rule: 'control-access', reason: 'access-denied' })
  })

  it('from forty addresses at once: all are refused, and no others', async () => {
    const attackers = Array.from({ length: 40 }, (_, i) => `127.1.1.${i + 1}`)
    await Promise.all(attackers.map((from) => attack(from, 5)))
    await Promise.all(attackers.flatMap((from) => ports().map((port) => untilRefused(port, from))))
    expect((await banner(live.postern.smtpPort, '127.1.2.1')).code).toBe(220)
    const client = await live.greeted({ from: '127.1.2.1' })
    await client.mail({ from: 'x@far.test', to: 'ann@home.test', content: 'Subject: honest\r\n' })
  })

  it('ends the open sessions of the address with 421 4.7.0, on both', async () => {
    const from = '127.1.3.1'
    const open = await Promise.all(ports().map((port) => greeted(port, from)))
    await open[1]?.say('MAIL FROM:<x@far.test>').expect(250)
    await attack(from, 5)
    for (const client of open) {
      await client.expect(421, '4.7.0')
      await client.closed()
    }
  })
})

// [harvesting.enabled, harvesting.maxFailedLogins, harvesting.blockMinutes]
describe('limits', () => {
  it('one below the limit is not an attack; neither is a successful login', async () => {
    const from = '127.1.4.1'
    await attack(from, 4)
    const client = await live.greeted({ from })
    await client.say(`AUTH PLAIN ${Buffer.from(`\0ann\0${password}`).toString('base64')}`).expect(235)
    expect(await staysOut(live.postern, from, ports())).toBe(true)
    expect((await banner(live.postern.smtpPort, from)).code).toBe(220)
    await attack(from, 1)
    await untilRefused(second.smtpPort, from)
  })

  it('maxFailedLogins and blockMinutes change at run time', async () => {
    await live.set('harvesting', { maxFailedLogins: 2, blockMinutes: 90 })
    const from = '127.1.4.2'
    await attack(from, 2)
    await untilRefused(live.postern.smtpPort, from)
    const left = Date.parse((await entryOf(live.postern, from))?.expiresAt ?? '') - Date.now()
    expect(left).toBeGreaterThan(89 * 60_000)
  })

  it('switched off, nothing is counted', async () => {
    await live.set('harvesting', { enabled: false })
    await attack('127.1.4.3', 8)
    expect(await staysOut(live.postern, '127.1.4.3', ports())).toBe(true)
    await live.set('harvesting', { enabled: true })
    await attack('127.1.4.3', 1)
    expect(await staysOut(live.postern, '127.1.4.3', ports())).toBe(true)
  })
})

describe('the entry', () => {
  it('can be removed, and returns only after new offences', async () => {
    const from = '127.1.5.1'
    await attack(from, 5)
    await untilRefused(live.postern.smtpPort, from)
    const entry = await entryOf(live.postern, from)
    await live.remove('control-access', entry?.id ?? '')
    for (const port of ports()) expect((await banner(port, from)).code).toBe(220)
    await attack(from, 4)
    expect(await staysOut(live.postern, from, ports())).toBe(true)
    await attack(from, 1)
    await untilRefused(second.smtpPort, from)
  })

  it('of an administrator for the address is not changed', async () => {
    const from = '127.1.5.2'
    await live.add('control-access', { value: from, action: 'grant', comment: 'our own scanner' })
    await attack(from, 6)
    expect(await staysOut(live.postern, 'nobody', ports())).toBe(true)
    expect(await entryOf(live.postern, from)).toMatchObject({ action: 'grant', comment: 'our own scanner' })
    expect((await banner(live.postern.smtpPort, from)).code).toBe(220)
  })

  it("does not make an administrator's If-Match stale", async () => {
    const { revision } = await live.api.get<{ revision: number }>('/v1/settings')
    await attack('127.1.5.3', 5)
    await untilRefused(live.postern.smtpPort, '127.1.5.3')
    const saved = await live.api.patch('/v1/settings/general', { maxMessageBytes: 1_000_000 }, { ifMatch: revision })
    expect(saved.revision).toBeGreaterThan(revision + 1)
    await live.set('general', { maxMessageBytes: 26_214_400 })
    const late = await live.api.call('PATCH', '/v1/settings/general', {
      body: { maxMessageBytes: 2_000_000 },
      ifMatch: saved.revision,
    })
    expect(late.status).toBe(412)
  })

  it('is not part of the settings file', async () => {
    await attack('127.1.5.4', 5)
    await untilRefused(live.postern.smtpPort, '127.1.5.4')
    const { text } = await live.api.call('GET', '/v1/document')
    expect(text).not.toContain('127.1.5.4')
  })
})

describe('never blocks', () => {
  it('a White-listed address (W), until it is no longer listed', async () => {
    const from = '127.1.6.1'
    const id = await live.add('white', '127.1.6.0/24')
    await attack(from, 8)
    expect(await staysOut(live.postern, from, ports())).toBe(true)
    await live.remove('white', id)
    await attack(from, 4)
    expect(await staysOut(live.postern, from, ports())).toBe(true)
    await attack(from, 1)
    await untilRefused(live.postern.smtpPort, from)
  })

  it('the address of a console session', async () => {
    await attack('127.0.0.1', 8)
    expect(await staysOut(live.postern, '127.0.0.1', ports())).toBe(true)
    expect((await banner(live.postern.smtpPort, '127.0.0.1')).code).toBe(220)
  })

  it('a trusted balancer', async () => {
    const balancer = '127.1.6.2'
    await live.set('advanced', { proxyProtocol: [balancer] })
    for (let i = 0; i < 8; i++) {
      // A health check: the balancer itself is the client.
      const client = await live.connect({ from: balancer, first: 'PROXY UNKNOWN\r\n' })
      await client.hello()
      await client.say(`AUTH PLAIN ${Buffer.from('\0ann\0wrong').toString('base64')}`).expect(535)
    }
    expect(await staysOut(live.postern, balancer, ports())).toBe(true)
    // The client behind it is not exempt.
    for (let i = 0; i < 5; i++) {
      const client = await live.connect({ from: balancer, first: 'PROXY TCP4 192.0.2.77 127.0.0.1 4711 25\r\n' })
      await client.hello()
      await client.say(`AUTH PLAIN ${Buffer.from('\0ann\0wrong').toString('base64')}`).expect(535)
    }
    await until('the client is blocked', async () => (await entryOf(live.postern, '192.0.2.77')) !== undefined)
  })
})

describe('answers', () => {
  it('unknown user and wrong password get the same reply, and cost one hash each', async () => {
    await live.set('harvesting', { maxFailedLogins: 1000 })
    const times: Record<string, number[]> = { ann: [], nobody: [] }
    const client = await live.greeted({ from: '127.1.7.1' })
    for (let i = 0; i < 30; i++)
      for (const login of ['ann', 'nobody']) {
        const since = performance.now()
        const reply = await client.ask(`AUTH PLAIN ${Buffer.from(`\0${login}\0wrong ${i}`).toString('base64')}`)
        times[login]?.push(performance.now() - since)
        expect(reply.raw).toBe('535 5.7.8 Authentication credentials invalid')
      }
    const least = (of: number[] = []) => Math.min(...of)
    // Other work only adds time. Without a hash to check, a reply takes a fraction of this.
    expect(least(times.nobody)).toBeGreaterThan(5)
    console.info(
      `wrong password ${least(times.ann).toFixed(1)} ms, unknown login ${least(times.nobody).toFixed(1)} ms, at least`,
    )
  })
})

it('an expired entry has no effect, and is removed', async () => {
  // The shortest block is a minute. This tests an entry like an automatic one that expires sooner.
  const expiresAt = new Date(Date.now() + 2_500).toISOString()
  await live.add('control-access', { value: '127.1.8.1', action: 'deny', expiresAt, reason: 'a test' })
  expect((await banner(second.smtpPort, '127.1.8.1')).code).toBe(554)
  await until('it has no effect any more', async () => (await banner(second.smtpPort, '127.1.8.1')).code === 220)
  expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(expiresAt))
  await until('it is swept away', async () => (await entryOf(live.postern, '127.1.8.1')) === undefined)
})
