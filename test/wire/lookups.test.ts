import { setTimeout as sleep } from 'node:timers/promises'
import { proxyHeader, type WireOptions } from '@postern/smtp/test/wire-client.ts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Dns, startDns } from '../peers/dns.ts'
import { until } from '../peers/peer.ts'
import { homeDomain, livePostern } from './live.ts'

/** DNS look-ups about a client and its commands. Clients with other addresses come through a balancer. */

let dns: Dns
beforeAll(async () => {
  dns = await startDns({
    names: {
      'good.test': { mx: [[10, 'mx.good.test']], a: ['198.51.100.10'] },
      'mx.good.test': { a: ['198.51.100.10'], aaaa: ['2001:db8::10'] },
      'six.test': { aaaa: ['2001:db8::10'] },
      'nothing.test': {},
      'nullmx.test': { mx: 'null' },
      'trouble.test': 'servfail',
      'silent.test': 'timeout',
      '66.100.51.198.bl.test': { a: ['127.0.0.2'], txt: ['198.51.100.66 sends spam, see https://bl.test/66'] },
      '67.100.51.198.bl.test': { a: ['127.0.1.4'] },
      '68.100.51.198.marks.test': { a: ['127.0.0.9'], txt: ['a little bad'] },
      [`${[...'20010db8000000000000000000000066'].reverse().join('.')}.bl.test`]: { a: ['127.0.0.3'] },
      'dead.test': 'timeout',
      'failing.test': 'servfail',
      '2.0.0.127.bl.test': { a: ['127.0.0.2'] },
    },
    ptr: {
      '198.51.100.10': 'mx.good.test',
      '2001:db8::10': 'mx.good.test',
      '198.51.100.11': 'mx.good.test',
      '198.51.100.66': 'mx.good.test',
    },
  })
})
afterAll(() => dns?.stop())

const balancer = '127.0.0.80'
const live = livePostern({
  postern: () => ({ dns: dns.server, env: { POSTERN_PROXY_PROTOCOL: balancer } }),
  prepare: async (live) => {
    await homeDomain(live)
    // Sending before the banner is also a hack attempt, so the second test would find its client blocked.
    await live.set('security', { autoDenyHackAttempts: false })
  },
})

/** Connects a client with this address, through the balancer. */
function from(ip: string, more: Partial<WireOptions> & { first?: string } = {}) {
  return live.connect({ from: balancer, ...more, first: proxyHeader(ip) + (more.first ?? '') })
}

async function refusedAtConnect(ip: string, ...reply: [number, string]) {
  const client = await from(ip)
  const said = await client.expect(...reply)
  expect(await client.closed()).toBe('closed')
  return said
}

const goodMail = { from: 'x@good.test', to: 'ann@home.test', content: 'Subject: hello\r\n' }

/** Returns what the event of the next message says about its client. */
async function rulesOf(ip: string, { helo = 'mx.good.test', sender = 'x@good.test', pauseMs = 200 } = {}) {
  const client = await from(ip)
  await client.hello(helo)
  await client.say(`MAIL FROM:<${sender}>`).expect(250)
  // Enough time for answers that nothing waits for.
  await sleep(pauseMs)
  await client.say('RCPT TO:<ann@home.test>', 'DATA').expect(250)
  await client.expect(354)
  const { lines } = await client.write('Subject: marked\r\n\r\n.\r\n').expect(250)
  const id = /[0-9a-f-]{36}/.exec(lines[0] ?? '')?.[0]
  return (await live.event('message.accepted', ({ messageId }) => messageId === id)).rules as string[]
}

describe('greetingDelaySeconds', () => {
  it('the banner is delayed; clients that wait are accepted, others are refused', async () => {
    const before = await (await live.connect()).expect(220)
    await live.set('security', { greetingDelaySeconds: 2 })
    const patient = await live.connect()
    const banner = await patient.expect(220)
    expect(banner.afterMs).toBeGreaterThan(1950)
    expect(before.afterMs).toBeLessThan(banner.afterMs)
    await patient.ehlo()
    await patient.mail(goodMail)
    const robot = await live.connect({ from: '127.0.0.71', first: 'EHLO robot.test\r\nMAIL FROM:<x@good.test>\r\n' })
    await robot.expect(554, '5.5.1')
    expect(await robot.closed()).toBeDefined()
    const refused = await live.event('session.refused', ({ client }) => Object(client).ip === '127.0.0.71')
    expect(refused).toMatchObject({ verdict: { rule: 'pregreet', reason: 'pregreet' } })
  })

  it('behind a balancer the PROXY header may come before the banner, but nothing else', async () => {
    await live.set('security', { greetingDelaySeconds: 1 })
    await (await from('198.51.100.10')).hello()
    const robot = await from('198.51.100.12', { first: 'HELO robot.test\r\n' })
    await robot.expect(554, '5.5.1')
  })

  it('without a delay, sending during a DNS list look-up also counts as early, if hack attempts are denied', async () => {
    await live.set('security', { dnsbl: [{ zone: 'dead.test', action: 'reject' }], autoDenyHackAttempts: true })
    await (await from('198.51.100.12', { first: 'HELO robot.test\r\n' })).expect(554, '5.5.1')
    await (await from('198.51.100.13')).hello()
    // Without a delay and autoDenyHackAttempts, sending early is not checked.
    await live.set('security', { autoDenyHackAttempts: false })
    const eager = await from('198.51.100.14', { first: 'HELO robot.test\r\n' })
    for (const code of [220, 250]) await eager.expect(code)
  })

  it.each([
    ['a PROXY header', 'PROXY TCP4 10.0.0.1 10.0.0.2 1 25\r\n', 421],
    ['TLS', Buffer.from('160301', 'hex'), undefined],
  ])('%s from nobody who is believed is answered as what it is', async (_what, first, code) => {
    await live.set('security', { greetingDelaySeconds: 1 })
    const client = await live.connect({ from: '127.0.0.73', first })
    await client.expect(220)
    if (code) await client.expect(code)
  })

  it('White List: the banner is immediate, and sending early is allowed', async () => {
    // Longer than the clients wait.
    await live.set('security', { greetingDelaySeconds: 30 })
    await live.add('white', '127.0.0.72')
    const white = await live.connect({ from: '127.0.0.72', withinMs: 25_000 })
    await white.expect(220)
    const eager = await live.connect({ from: '127.0.0.72', withinMs: 25_000, first: 'EHLO eager.test\r\n' })
    await eager.expect(220)
    await eager.expect(250)
  })

  it('watched: delays, records it, and continues with the early input', async () => {
    await live.set('security', { greetingDelaySeconds: 1, watch: ['pregreet'] })
    const robot = await live.connect({ first: 'EHLO robot.test\r\n' })
    expect((await robot.expect(220)).afterMs).toBeGreaterThan(950)
    await robot.expect(250)
    const { lines } = await robot.mail(goodMail)
    const event = await live.event('message.accepted', ({ messageId }) => (lines[0] ?? '').includes(String(messageId)))
    expect((event.rules as string[])[0]).toMatch(/^connect: pregreet \(watched\) 127\.0\.0\.1 sent data/)
  })

  it('a client that leaves while it waits costs nothing more', async () => {
    await live.set('security', { greetingDelaySeconds: 1 })
    const gone = await live.connect()
    gone.end()
    expect(await gone.closed()).toBe('closed')
    const broken = await live.connect()
    broken.reset()
    // Its delay began later, so it ends after theirs.
    await (await live.connect()).hello()
  })
})

describe('dnsbl, RFC 5782', () => {
  const reject = (zone: string, answer = '127.0.0.*') => ({ zone, answer, action: 'reject' })

  it('550 5.7.1 with the name and the text of the list, for IPv4 and IPv6, and only for listed clients', async () => {
    await (await from('198.51.100.66')).hello()
    await live.set('security', { dnsbl: [reject('other.test'), reject('bl.test')] })
    const said = await refusedAtConnect('198.51.100.66', 550, '5.7.1')
    expect(said.raw).toContain('listed by bl.test: 198.51.100.66 sends spam, see https://bl.test/66')
    expect((await refusedAtConnect('2001:db8::66', 550, '5.7.1')).raw).toContain('bl.test')
    await (await from('198.51.100.10')).hello()
    await (await from('2001:db8::10')).hello()
    // The rule also looks up local networks. RFC 5782 §5 lists this address for tests.
    await (await live.connect({ from: '127.0.0.2' })).expect(550, '5.7.1')
    const refused = await live.event('session.refused', ({ client }) => Object(client).ip === '2001:db8::66')
    expect(refused).toMatchObject({ verdict: { rule: 'dnsbl', reason: 'dnsbl' } })
    expect(JSON.stringify(refused)).toContain('bl.test (127.0.0.3)')
  })

  it('lists that fail or are silent refuse no client, and do not hide one that answers', async () => {
    await live.set('security', { dnsbl: [reject('failing.test'), reject('dead.test')] })
    const patient = await from('198.51.100.66')
    expect((await patient.expect(220)).afterMs).toBeLessThan(20_000)
    await live.set('security', { dnsbl: [reject('failing.test'), reject('dead.test'), reject('bl.test')] })
    await refusedAtConnect('198.51.100.66', 550, '5.7.1')
  })

  it('mark: in the trail only', async () => {
    await live.set('security', { dnsbl: [{ zone: 'marks.test', action: 'mark' }] })
    expect(await rulesOf('198.51.100.68')).toContain(
      'connect: dnsbl (watched) 198.51.100.68 is listed by marks.test (127.0.0.9): a little bad.',
    )
    expect((await rulesOf('198.51.100.10')).join()).not.toContain('dnsbl')
  })

  it('clients that submit mail are not looked up', async () => {
    await live.set('security', { dnsbl: [reject('bl.test')], checkReverseDns: 'reject', checkHelo: 'reject' })
    const program = await from('198.51.100.66', { port: live.postern.submissionPort })
    await program.hello('nowhere.invalid')
  })

  it('an invalid pattern is refused, and nothing is saved', async () => {
    const saved = live.set('security', { dnsbl: [reject('bl.test', 'spam')] })
    await expect(saved).rejects.toThrow(/127\.0\.0\.\*/)
    await expect(live.set('security', { dnsbl: [reject('bl.test', '127.0.0.256')] })).rejects.toThrow(/127\.0\.0\.\*/)
  })
})

describe('checkReverseDns', () => {
  it('reject: 550 5.7.25 (RFC 7372) without PTR and without confirmation, by both kinds of address', async () => {
    await live.set('security', { checkReverseDns: 'reject' })
    await (await from('198.51.100.10')).hello()
    await (await from('2001:db8::10')).hello()
    await refusedAtConnect('198.51.100.11', 550, '5.7.25')
    await refusedAtConnect('198.51.100.99', 550, '5.7.25')
    await refusedAtConnect('2001:db8::99', 550, '5.7.25')
    await live.set('security', { checkReverseDns: 'off' })
    await (await from('198.51.100.99')).hello()
  })

  it('mark, the default: in the trail and, confirmed, in the trace', async () => {
    expect(await rulesOf('198.51.100.99')).toContain('connect: reverse-dns (watched) 198.51.100.99 has no PTR record.')
    expect((await rulesOf('198.51.100.11')).join()).toContain('names mx.good.test, which does not have that address')
    expect((await rulesOf('198.51.100.10')).join()).not.toContain('reverse-dns')
    // Accepted is not delivered yet.
    const trace = 'from mx.good.test (mx.good.test [198.51.100.10])'
    await until('it is in the maildir', async () =>
      (await live.mail('ann@home.test')).some((text) => text.includes(trace)),
    )
  })
})

describe('checkHelo', () => {
  it('reject: a name must have an address, and a literal valid syntax', async () => {
    await live.set('security', { checkHelo: 'reject' })
    const client = await from('198.51.100.10')
    await client.expect(220)
    await client.say('EHLO nothing.test').expect(550, '5.7.1')
    await client.say('HELO missing.test').expect(550, '5.7.1')
    await client.say('MAIL FROM:<x@good.test>').expect(503)
    for (const name of ['good.test', 'SIX.test.', '[198.51.100.10]', '[IPv6:2001:db8::10]', 'trouble.test'])
      await client.say(`EHLO ${name}`).expect(250)
    await client.say('EHLO [198.51.100]').expect(501)
    await client.say('EHLO mx.good.test').expect(250)
    await client.mail(goodMail)
  })

  it('mark, the default: in the trail, and only for the last name given', async () => {
    expect((await rulesOf('198.51.100.10', { helo: 'missing.test' })).join()).toContain(
      'hello: helo (watched) EHLO missing.test',
    )
    const client = await from('198.51.100.10')
    await client.hello('missing.test')
    // So that its answer, which nothing waits for, arrives before the other name is sent.
    await sleep(200)
    await client.ehlo('mx.good.test')
    const { lines } = await client.mail(goodMail)
    const event = await live.event('message.accepted', ({ messageId }) => (lines[0] ?? '').includes(String(messageId)))
    expect(JSON.stringify(event.rules)).not.toContain('helo')
  })
})

/** Returns how long the reply took while the DNS is silent. */
let silentMs = 20_000

describe('checkSenderDomain', () => {
  it('reject: MX or address, null MX (RFC 7505), none, trouble', async () => {
    await live.set('security', { checkSenderDomain: 'reject' })
    const client = await from('198.51.100.10')
    await client.hello()
    for (const domain of ['nothing.test', 'missing.test'])
      expect((await client.say(`MAIL FROM:<x@${domain}>`).expect(550, '5.1.8')).raw).toContain(domain)
    await client.say('MAIL FROM:<x@nullmx.test>').expect(550, '5.7.27')
    await client.say('MAIL FROM:<x@trouble.test>').expect(451, '4.4.3')
    const silent = await client.say('MAIL FROM:<x@silent.test>').expect(451, '4.4.3')
    expect(silent.afterMs).toBeLessThan(20_000)
    silentMs = silent.afterMs
    const allowed = ['<x@good.test>', '<x@SIX.test>', '<>', '<x@[192.0.2.7]>', '<bob@home.test>', '<bob@also.test>']
    for (const path of allowed) {
      await client.say(`MAIL FROM:${path}`).expect(250)
      await client.say('RSET').expect(250)
    }
  })

  it('a pipelining client gets its replies in order, each once', async () => {
    await live.set('security', { checkSenderDomain: 'reject', greylist: { delaySeconds: 300, rememberDays: 1 } })
    const client = await from('198.51.100.10')
    await client.hello()
    client.say('MAIL FROM:<x@absent.test>', 'RCPT TO:<ann@home.test>', 'DATA', 'MAIL FROM:<x@mx.good.test>')
    client.say('RCPT TO:<nobody@home.test>', 'RCPT TO:<ann@home.test>', 'DATA', 'NOOP')
    const codes: number[] = []
    for (let i = 0; i < 8; i++) codes.push((await client.reply()).code)
    expect(codes).toEqual([550, 503, 503, 250, 550, 451, 554, 250])
    await live.set('security', { greylist: 'off' })
    const other = await from('198.51.100.10')
    await other.hello()
    other.say('MAIL FROM:<x@good.test>', 'RCPT TO:<ann@home.test>', 'DATA')
    for (const code of [250, 250, 354]) await other.expect(code)
    await other.write('Subject: piped\r\n\r\n.\r\nQUIT\r\n').expect(250)
    await other.expect(221)
  })

  it('mark, the default: in the trail', async () => {
    const rules = await rulesOf('198.51.100.10', { sender: 'x@nullmx.test' })
    expect(rules).toContain(
      'mail: sender-domain (watched) nullmx.test has a null MX: it neither sends nor receives mail.',
    )
    expect((await rulesOf('198.51.100.10', { sender: 'x@trouble.test' })).join()).not.toContain('sender-domain')
  })

  it('earlier rules decide without the look-up', async () => {
    await live.set('security', { checkSenderDomain: 'reject' })
    await live.add('kill', '@silent.test')
    const client = await from('198.51.100.10')
    await client.hello()
    const killed = await client.say('MAIL FROM:<y@silent.test>').expect(501, '5.7.1')
    expect(killed.afterMs).toBeLessThan(silentMs)
  })
})

describe('a DNS server that is down', () => {
  it('refuses no client, and defers only if the settings say so', async () => {
    await dns.stop()
    await live.set('security', {
      dnsbl: [{ zone: 'bl.test', action: 'reject' }],
      checkReverseDns: 'reject',
      checkHelo: 'reject',
      checkSenderDomain: 'reject',
    })
    const client = await from('198.51.100.166', { withinMs: 20_000 })
    await client.hello('never-asked.test')
    await client.say('MAIL FROM:<x@never-asked.test>').expect(451, '4.4.3')
    await live.set('security', { checkSenderDomain: 'mark' })
    const marked = await rulesOf('198.51.100.166', { sender: 'x@never-asked.test' })
    expect(marked).not.toContain('sender-domain')
  })
})

it('the books balance after all of it', async () => {
  expect((await live.postern.quiet()).total.balance).toBe(0)
})
