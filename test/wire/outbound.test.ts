import { TestServer } from '@postern/queue/test/server.ts'
import { dkimVerify } from 'mailauth/lib/dkim/verify.js'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { selfSigned } from '../peers/certificate.ts'
import { type Dns, startDns } from '../peers/dns.ts'
import { until } from '../peers/peer.ts'
import { type Postfix, startPostfix } from '../peers/postfix.ts'
import { homeDomain, livePostern } from './live.ts'

/** The settings of the group `queue`, changed through the API and observed at the receiving servers, with one Queue Manager throughout. */

let dns: Dns
let remote: TestServer
let postfix: Postfix
beforeAll(async () => {
  remote = await TestServer.start({}, '127.0.0.2')
  postfix = await startPostfix({
    deliver: { to: 'maildir' },
    host: '127.0.0.3',
    port: remote.port,
    domains: ['postfix.test'],
    certificate: await selfSigned(['mx.postfix.test']),
  })
  dns = await startDns({
    names: {
      'far.test': { a: ['127.0.0.2'] },
      'other.test': { a: ['127.0.0.2'] },
      'postfix.test': { mx: [[10, 'mx.postfix.test']] },
      'mx.postfix.test': { a: ['127.0.0.3'] },
    },
  })
})
afterAll(async () => {
  await remote?.close()
  await postfix?.stop()
  await dns?.stop()
})

let queuePid = 0
const live = livePostern({
  postern: () => ({ dns: dns.server, outboundPort: remote.port }),
  prepare: async (live) => {
    await homeDomain(live)
    queuePid = live.pid('queue')
  },
})
afterEach(() => {
  remote.script = {}
  remote.maxBusy = 0
  expect(live.pid('queue')).toBe(queuePid)
})

async function send(to: string | string[], more: { from?: string; subject?: string } = {}): Promise<string> {
  const { from = 'ann@home.test', subject = 'x' } = more
  const client = await live.greeted()
  const content = `From: Ann <${from}>\r\nTo: somebody@far.test\r\nSubject: ${subject}\r\n\r\nhello\r\n`
  const { raw, code } = await client.mail({ from, to, content })
  expect(code, raw).toBe(250)
  await client.quit()
  return /[0-9a-f-]{36}/.exec(raw)?.[0] ?? raw
}

const later = { command: (line: string) => (line.startsWith('RCPT') ? '450 4.2.1 later' : undefined) }
const slow = (ms: number) => ({ end: () => new Promise<undefined>((resolve) => setTimeout(resolve, ms, undefined)) })

/** A refused transaction counts as busy until its connection closes. */
async function idle(): Promise<void> {
  await until('no transaction is open', () => remote.busy === 0)
  remote.maxBusy = 0
}

/** Returns the minutes from a message's first failure to its next attempt. */
async function pause(): Promise<number> {
  const id = await send('jane@far.test')
  const event = await live.event('delivery.deferred', ({ messageId }) => messageId === id)
  return (Date.parse((event as unknown as { nextTryAt: string }).nextTryAt) - Date.parse(event.at)) / 60_000
}

// [queue.retryTimerMinutes, queue.retryBackoff, queue.retryMaxMinutes, queue.triesBeforeReturn, queue.maxQueueHours]
describe('the schedule', () => {
  it('retryTimerMinutes, retryMaxMinutes, maxQueueHours: the next attempt', async () => {
    remote.script = later
    await live.set('queue', { retryTimerMinutes: 10, retryBackoff: 'exponential' })
    expect(await pause()).toSatisfy((minutes) => minutes >= 9 && minutes <= 11)
    await live.set('queue', { retryTimerMinutes: 100, retryMaxMinutes: 300 })
    expect(await pause()).toSatisfy((minutes) => minutes >= 90 && minutes <= 110)
    // The last attempt is made when the time ends, not after it.
    await live.set('queue', { maxQueueHours: 1 })
    expect(await pause()).toSatisfy((minutes) => minutes >= 59 && minutes <= 60.1)
  })

  it('retryBackoff constant: everything at the same tick', async () => {
    remote.script = later
    await live.set('queue', { retryTimerMinutes: 30, retryBackoff: 'constant' })
    const id = await send('jane@far.test')
    const event = await live.event('delivery.deferred', ({ messageId }) => messageId === id)
    expect(Date.parse((event as unknown as { nextTryAt: string }).nextTryAt) % 1_800_000).toBe(0)
  })

  it('triesBeforeReturn: after the last one the sender is notified', async () => {
    remote.script = later
    await live.set('queue', { triesBeforeReturn: 2 })
    const before = (await live.mail('ann@home.test')).length
    const id = await send('jane@far.test')
    await live.event('delivery.deferred', ({ messageId }) => messageId === id)
    await live.change(() => live.api.post('/v1/queue/run'))
    const event = await live.event('delivery.bounced', ({ messageId }) => messageId === id)
    expect(event).toMatchObject({ attempt: 2, status: '4.4.7' })
    const mails = () => live.mail('ann@home.test')
    await until('the notification', async () => (await mails()).length > before)
    const [notice = ''] = (await mails()).filter((mail) => mail.includes('Final-Recipient: rfc822; jane@far.test'))
    // The remote reply, unchanged. Our own wording is for people.
    expect(notice).toMatch(/\r?\nDiagnostic-Code: smtp; 4\d\d [^(\r\n]*\r?\n/)
    expect(notice).toContain('(given up after 2 attempts)')
  })
})

// [queue.perDomainConnections, queue.perDomainPerMinute, queue.perDomain, queue.reuseConnections]
// [queue.maxMessagesPerConnection, queue.deliveryThreads, queue.retryThreads]
describe('connections', () => {
  const many = (count: number, domain = 'far.test') =>
    Promise.all(Array.from({ length: count }, (_, i) => send(`u${i}@${domain}`)))
  const arrived = async (count: number) => {
    const began = remote.received.length
    return () => until(`${count} messages`, () => remote.received.length >= began + count, { withinMs: 20_000 })
  }

  it('perDomainConnections and perDomain: at most that many at once', async () => {
    remote.script = slow(300)
    await live.set('queue', { perDomainConnections: 2 })
    await idle()
    let all = await arrived(8)
    await many(8)
    await all()
    expect(remote.maxBusy).toBe(2)
    await live.set('queue', { perDomain: [{ domain: 'far.test', connections: 1 }] })
    await idle()
    all = await arrived(4)
    await many(4)
    await all()
    expect(remote.maxBusy).toBe(1)
  })

  it('perDomainPerMinute: at most that many, the others wait, even across other changes', async () => {
    await live.set('queue', { perDomain: [{ domain: 'other.test', perMinute: 2 }] })
    const began = remote.received.length
    const come = () => remote.received.length - began
    await many(4, 'other.test')
    await until('two messages', () => come() === 2)
    await live.set('queue', { retryMaxMinutes: 200 })
    await live.make('domains', { name: 'new.test', route: { type: 'discard' } })
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(come()).toBe(2)
    await live.set('queue', { perDomain: [] })
    await until('the others', () => come() === 4)
  })

  it('reuseConnections and maxMessagesPerConnection: messages of each session', async () => {
    const perSession = async (count: number) => {
      const from = remote.received.length
      const all = await arrived(count)
      for (let i = 0; i < count; i++) await send(`u${i}@far.test`)
      await all()
      const sessions = Map.groupBy(remote.received.slice(from), ({ session }) => session)
      return [...sessions.values()].map((each) => each.length)
    }
    await live.set('queue', { reuseConnections: false, perDomainConnections: 1 })
    expect(await perSession(3)).toEqual([1, 1, 1])
    await live.set('queue', { reuseConnections: true, maxMessagesPerConnection: 2 })
    expect(Math.max(...(await perSession(3)))).toBe(2)
    await live.set('queue', { reuseConnections: false })
    // The connection that is still open is not reused.
    expect(await perSession(2)).toEqual([1, 1])
  })

  it('deliveryThreads and retryThreads: at most that many at once, and new mail has room beside retries', async () => {
    await live.set('queue', { deliveryThreads: 5, retryThreads: 2, perDomainConnections: 50 })
    await idle()
    remote.script = slow(300)
    let all = await arrived(12)
    await many(12)
    await all()
    expect(remote.maxBusy).toBe(5)
    remote.script = later
    const waiting = await many(6)
    for (const id of waiting) await live.event('delivery.deferred', ({ messageId }) => messageId === id)
    remote.script = slow(300)
    await idle()
    all = await arrived(6)
    await live.change(() => live.api.post('/v1/queue/run'))
    await all()
    expect(remote.maxBusy).toBe(2)
  })
})

// [queue.outboundTls, advanced.recipientDelayMs]
describe('the mail itself', () => {
  it('outboundTls: require does not deliver to a host with an untrusted certificate', async () => {
    const open = await send('jane@postfix.test', { subject: 'opportunistic' })
    const event = await live.event('delivery.delivered', ({ messageId }) => messageId === open)
    expect(event).toMatchObject({ remote: { tls: expect.stringMatching(/^TLSv1\.[23]$/) } })
    await live.set('queue', { outboundTls: 'require' })
    const strict = await send('jane@postfix.test')
    expect(await live.event('delivery.deferred', ({ messageId }) => messageId === strict)).toMatchObject({
      cause: 'tls-not-verified',
      reply: expect.stringContaining('mx.postfix.test is not verified'),
    })
  })

  it.each(['rsa-2048', 'ed25519'])(
    // [directory:dkim-key]
    'dkimSign with %s: Postfix gets what the published record verifies',
    async (algorithm) => {
      await live.change(() => live.api.post('/v1/dkim-keys', { domain: 'home.test', selector: 'wire', algorithm }))
      const { items } = await live.api.get<{ items: { dnsName: string; dnsValue: string }[] }>('/v1/dkim-keys')
      const [key] = items
      const subject = `signed by ${algorithm}`
      await send('jane@postfix.test', { subject })
      let kept: string | undefined
      await until('it has arrived', async () => {
        kept = (await postfix.mail('jane@postfix.test')).find((text) => text.includes(subject))
        return kept !== undefined
      })
      const resolver = async (name: string) => {
        if (name !== key?.dnsName) throw Object.assign(new Error(name), { code: 'ENOTFOUND' })
        return [[key.dnsValue]]
      }
      const message = (kept ?? '').replace(/\r?\n/g, '\r\n')
      const { results } = await dkimVerify(Buffer.from(message), { resolver } as never)
      expect(results).toMatchObject([{ status: { result: 'pass' }, signingDomain: 'home.test', selector: 'wire' }])
    },
  )

  it('advanced.recipientDelayMs: a pause between recipients', async () => {
    const times: number[] = []
    remote.script = {
      command: (line) => {
        if (line.startsWith('RCPT')) times.push(Date.now())
        return undefined
      },
    }
    await live.set('advanced', { recipientDelayMs: 200 })
    await send(['a@far.test', 'b@far.test', 'c@far.test'])
    await until('all named', () => times.length === 3)
    expect((times[2] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(390)
  })
})

it('a line over 998 bytes reaches a real Postfix encoded, and is the same text there', async () => {
  const line = Array.from({ length: 900 }, (_, n) => `word${n}`).join(' ')
  const content = `From: Ann <ann@home.test>\r\nTo: long@postfix.test\r\nSubject: long\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nbefore\r\n${line}\r\nafter\r\n`
  const client = await live.greeted()
  expect((await client.mail({ from: 'ann@home.test', to: 'long@postfix.test', content })).code).toBe(250)
  await client.quit()
  await until('Postfix has it', async () => (await postfix.mail('long@postfix.test')).length === 1)
  const [mail = ''] = await postfix.mail('long@postfix.test')
  expect(Math.max(...mail.split('\n').map((text) => text.length))).toBeLessThanOrEqual(998)
  expect(mail).toMatch(/^Content-Transfer-Encoding: quoted-printable$/im)
  const body = mail.replaceAll('\r\n', '\n').split('\n\n').slice(1).join('\n\n')
  const decoded = body
    .replace(/=\n/g, '')
    .replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
  expect(decoded).toContain(`before\n${line}\nafter\n`)
})
