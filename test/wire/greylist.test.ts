import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { WriteResult } from '@postern/contract/views.ts'
import { proxyHeader } from '@postern/smtp/test/wire-client.ts'
import { beforeEach, describe, expect, it } from 'vitest'
import { until } from '../peers/peer.ts'
import { homeDomain, livePostern } from './live.ts'

/** First attempts, and what is remembered. Clients with other addresses come through a balancer. */

const balancer = '127.0.0.80'
const live = livePostern({
  postern: () => ({ env: { POSTERN_PROXY_PROTOCOL: balancer } }),
  prepare: async (made) => {
    await homeDomain(made)
    // No look-ups in this file.
    await made.set('security', { checkSenderDomain: 'off', checkHelo: 'off', checkReverseDns: 'off' })
    await made.set('advanced', { allowPlainWithoutTls: true })
    await made.set('tls', { requireTls: 'no' })
  },
})

/** Each test has its own senders, because the greylist remembers them. */
let test = 0
beforeEach(() => {
  test++
})
const sender = () => `x${test}@far.test`

async function greeted(ip: string) {
  const client = await live.connect({ from: balancer, first: proxyHeader(ip) })
  await client.hello()
  return client
}

/** The reply to RCPT. */
async function tried(ip: string, from = sender(), to = 'ann@home.test') {
  const client = await greeted(ip)
  await client.say(`MAIL FROM:<${from}>`).expect(250)
  const reply = await client.ask(`RCPT TO:<${to}>`)
  await client.quit()
  return `${reply.code} ${reply.enhanced}`
}

/** Tries until it is accepted. Coming back too soon does not extend the delay. */
async function passes(ip: string, from = sender()): Promise<void> {
  await until(`${ip} passes`, async () => (await tried(ip, from)) === taken, { everyMs: 100 })
}

const later = '451 4.7.1'
const taken = '250 2.1.5'
const on = (delaySeconds: number) => live.set('security', { greylist: { delaySeconds, rememberDays: 1 } })

describe('greylist, RFC 6647', () => {
  it('off, on, off: accepted at once, delayed, accepted at once', async () => {
    expect(await tried('198.51.100.1')).toBe(taken)
    await on(300)
    expect(await tried('198.51.100.1')).toBe(later)
    expect(await tried('198.51.100.1')).toBe(later)
    const refused = await live.event('command.refused', (event) => event.sender === sender())
    expect(refused).toMatchObject({ recipient: 'ann@home.test', verdict: { rule: 'greylist', reason: 'greylist' } })
    await live.set('security', { greylist: 'off' })
    expect(await tried('198.51.100.1')).toBe(taken)
  })

  it('a client that returns after the delay passes and is remembered, also from another address in its network', async () => {
    await on(1)
    const client = await greeted('198.51.100.2')
    await client.say(`MAIL FROM:<${sender()}>`).expect(250)
    expect((await client.say('RCPT TO:<ann@home.test>').expect(451, '4.7.1')).raw).toMatch(/in 1 seconds/)
    await until('the second is over', async () => (await client.ask('RCPT TO:<Ann@HOME.test>')).code === 250, {
      everyMs: 100,
    })
    await client.say('DATA').expect(354)
    await client.write('Subject: again\r\n\r\n.\r\n').expect(250)
    await on(300)
    expect(await tried('198.51.100.200')).toBe(taken)
    expect(await tried('198.51.101.2')).toBe(later)
    expect(await tried('198.51.100.2', sender(), 'bob@home.test')).toBe(later)
    expect(await tried('198.51.100.2', `other-${sender()}`)).toBe(later)
  })

  it('IPv6: the network is a /64; the null sender waits like others', async () => {
    await on(1)
    expect(await tried('2001:db8:1::1', '')).toBe(later)
    await passes('2001:db8:1::ffff:1', '')
    expect(await tried('2001:db8:1:1::1', '')).toBe(later)
  })

  it('rules before it answer first, and a recipient that is refused is not remembered', async () => {
    await on(300)
    expect(await tried('198.51.100.4', sender(), 'nobody@home.test')).toBe('550 5.1.1')
    expect(await tried('198.51.100.4', sender(), 'x@remote.test')).toBe('550 5.7.1')
  })

  it('each recipient of a pipelining client gets a reply', async () => {
    await on(1)
    const client = await greeted('198.51.100.8')
    client.say(`MAIL FROM:<${sender()}>`, 'RCPT TO:<ann@home.test>', 'RCPT TO:<nobody@home.test>')
    client.say('RCPT TO:<bob@home.test>', 'DATA', 'RSET')
    for (const code of [250, 451, 550, 451, 554, 250]) await client.expect(code)
    await until(
      'the second is over for bob, who was tried last',
      async () => {
        client.say(`MAIL FROM:<${sender()}>`, 'RCPT TO:<bob@home.test>', 'RSET')
        const [, { code }] = [await client.expect(250), await client.reply(), await client.expect(250)]
        return code === 250
      },
      { everyMs: 100 },
    )
    client.say(`MAIL FROM:<${sender()}>`, 'RCPT TO:<ann@home.test>', 'RCPT TO:<bob@home.test>', 'DATA')
    for (const code of [250, 250, 250, 354]) await client.expect(code)
    await client.write('Subject: both\r\n\r\n.\r\n').expect(250)
  })

  it.each([{ delaySeconds: 0 }, { delaySeconds: 86_401 }, { rememberDays: 366 }, { delay: 5 }, null, 'on'])(
    '%j is refused, and nothing is saved',
    async (greylist) => {
      await expect(live.set('security', { greylist })).rejects.toThrow(/422|greylist/)
    },
  )
})

/** Must be last, because it replaces the worker process, and `live` expects the same one after each change. */
it('a killed worker remembers after its restart', async () => {
  const wanted = { greylist: { delaySeconds: 1, rememberDays: 1 } }
  const { revision } = await live.api.patch<WriteResult>('/v1/settings/security', wanted)
  await live.postern.settle(revision)
  expect(await tried('198.51.100.9')).toBe(later)
  expect(await tried('198.51.100.10', sender(), 'bob@home.test')).toBe(later)
  // Written within a moment, in order: `p`, which has passed, after all before it.
  const written = () => readFile(join(live.postern.dataDirectory, 'worker', 'smtp-1', 'greylist'), 'latin1')
  const already = (await written()).length
  await passes('198.51.100.9')
  await until('that it passed is written', async () => /^p .*\n/m.test((await written()).slice(already)))
  const before = live.pid('smtp')
  await live.postern.kill('smtp')
  await until('another worker is there', async () => live.pid('smtp') > 0 && live.pid('smtp') !== before)
  await live.postern.settle(revision)
  await until(
    'it takes sessions',
    () =>
      greeted('198.51.100.9').then(
        () => true,
        () => false,
      ),
    { withinMs: 20_000 },
  )
  expect(await tried('198.51.100.10', sender(), 'bob@home.test')).toBe(taken)
  expect(await tried('198.51.100.9')).toBe(taken)
  expect(await tried('198.51.102.9')).toBe(later)
})
