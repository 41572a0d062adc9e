import type { MessageView } from '@postern/contract/views.ts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { selfSigned } from '../peers/certificate.ts'
import { dkimKey, signed } from '../peers/dkim.ts'
import { type Dns, startDns } from '../peers/dns.ts'
import { until } from '../peers/peer.ts'
import { homeDomain, livePostern, password } from './live.ts'

/** SPF, DKIM and DMARC: marked after the reply, enforced before it. Clients with other addresses come through a balancer. */

const honest = dkimKey('honest.test')
const ours = 'mx.home.test'
const good = '198.51.100.10'
const bad = '203.0.113.66'

let dns: Dns
beforeAll(async () => {
  dns = await startDns({
    names: {
      'honest.test': { txt: [`v=spf1 ip4:${good} -all exp=why.honest.test`] },
      'why.honest.test': { txt: ['%{i} is not one of ours'] },
      's1._domainkey.honest.test': { txt: [honest.record] },
      '_dmarc.honest.test': { txt: ['v=DMARC1; p=reject'] },
      'careful.test': { txt: [`v=spf1 ip4:${good} ~all`] },
      '_dmarc.careful.test': { txt: ['v=DMARC1; p=quarantine'] },
      'plain.test': {},
      'strict.test': { txt: [`v=spf1 ip4:${good} -all`] },
      'helo.strict.test': { txt: [`v=spf1 ip4:${good} -all`] },
      'trouble.test': 'servfail',
      'silent.test': 'timeout',
    },
  })
})
afterAll(() => dns?.stop())

const balancer = '127.0.0.81'
const live = livePostern({
  postern: () => ({ dns: dns.server, env: { POSTERN_PROXY_PROTOCOL: balancer } }),
  prepare: async (it) => {
    await homeDomain(it)
    const { cert, key } = await selfSigned([ours])
    await it.make('certificates', { name: 'mail', certificate: cert, privateKey: key })
    await it.set('general', { hostname: ours })
    // Other look-ups would only add noise here.
    await it.set('security', { checkSenderDomain: 'off', checkHelo: 'off', checkReverseDns: 'off' })
  },
})

let count = 0
type Given = {
  ip?: string
  sender?: string
  from?: string
  header?: string
  sign?: boolean
  helo?: string
  body?: string
}

async function written({ from = 'x@honest.test', header = '', sign = false, body = 'Hello\r\n' }: Given) {
  const subject = `mail ${++count}`
  const plain = `From: <${from}>\r\nTo: ann@home.test\r\nSubject: ${subject}\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <${count}@x.test>\r\n\r\n${body}`
  return { subject, content: header + (sign ? await signed(plain, [honest]) : plain) }
}

async function clientFrom(ip: string, helo = 'client.test') {
  const client = await live.connect({ from: balancer, first: `PROXY TCP4 ${ip} 192.0.2.1 4000 25\r\n` })
  await client.hello(helo)
  return client
}

/** Sends one mail up to the end of data. */
async function end(given: Given) {
  const { ip = good, sender = 'x@honest.test', helo } = given
  const { subject, content } = await written(given)
  const client = await clientFrom(ip, helo)
  await client.say(`MAIL FROM:<${sender}>`).expect(250)
  await client.say('RCPT TO:<ann@home.test>').expect(250)
  await client.say('DATA').expect(354)
  const reply = await client.write(`${content}.\r\n`).reply()
  const id = /[0-9a-f-]{36}/.exec(reply.lines[0] ?? '')?.[0] ?? ''
  return { reply, subject, id }
}

async function arrived(subject: string): Promise<string> {
  let found: string | undefined
  await until(`"${subject}" is delivered`, async () => {
    found = (await live.mail('ann@home.test')).find((text) => text.includes(`Subject: ${subject}\r\n`))
    return found !== undefined
  })
  return found as string
}

/** Authentication-Results fields of a delivered message, unfolded, in order. */
function resultsIn(message: string): string[] {
  const header = message.slice(0, message.indexOf('\r\n\r\n')).replace(/\r\n[ \t]+/g, ' ')
  return header.split('\r\n').filter((field) => /^authentication-results:/i.test(field))
}

/** Sends a message, expects it to be accepted, and returns our field. */
async function results(given: Given): Promise<string> {
  const { reply, subject } = await end(given)
  expect(reply.code, reply.raw).toBe(250)
  const [first = '', ...others] = resultsIn(await arrived(subject))
  expect(others).toEqual([])
  expect(first).toMatch(new RegExp(`^Authentication-Results: ${ours};`))
  return first
}

const message = (id: string) => live.api.get<MessageView>(`/v1/messages/${id}`)

// [general.verifySpf, general.verifyDkim, general.verifyDmarc]
describe('mark: SPF (RFC 7208), DKIM (RFC 6376), DMARC (RFC 9989)', () => {
  it('adds the results at the top of the message, and to the trace', async () => {
    const { reply, subject, id } = await end({ sign: true })
    expect(reply.code).toBe(250)
    const delivered = await arrived(subject)
    expect(resultsIn(delivered)).toEqual([
      `Authentication-Results: ${ours}; dkim=pass header.d=honest.test header.s=s1; spf=pass smtp.mailfrom=honest.test; dmarc=pass policy.dmarc=reject header.from=honest.test`,
    ])
    // RFC 8601 §4.1: above our own Received; Return-Path and Delivered-To are added by delivery itself.
    expect(delivered).toMatch(/^Return-Path: [^\n]+\nDelivered-To: [^\n]+\nAuthentication-Results: /)
    const event = await live.event('message.authenticated', ({ messageId }) => messageId === id)
    expect(event).toMatchObject({
      spf: { result: 'pass', domain: 'honest.test' },
      dkim: [{ result: 'pass', domain: 'honest.test', selector: 's1' }],
      dmarc: { result: 'pass', policy: 'reject', domain: 'honest.test' },
    })
    expect((await message(id)).trace.map(({ type }) => type)).toContain('message.authenticated')
  })

  it('delivers mail that fails, and says so', async () => {
    const field = await results({ ip: bad })
    expect(field).toContain('dkim=none')
    expect(field).toContain('spf=fail smtp.mailfrom=honest.test')
    expect(field).toContain('dmarc=fail policy.dmarc=reject header.from=honest.test')
  })

  it('recent results are reused for the same client and domains only', async () => {
    const again = async (given: Given) => [await results(given), await results(given), await results(given)]
    for (const field of await again({ ip: good, sender: 'a@strict.test', from: 'a@strict.test' }))
      expect(field).toBe(
        `Authentication-Results: ${ours}; dkim=none; spf=pass smtp.mailfrom=strict.test; dmarc=none header.from=strict.test`,
      )
    for (const field of await again({ ip: bad, sender: 'b@strict.test', from: 'b@strict.test' }))
      expect(field).toContain('spf=fail smtp.mailfrom=strict.test; dmarc=none header.from=strict.test')
    const other = await results({ ip: good, sender: 'a@strict.test', from: 'a@honest.test' })
    expect(other).toContain(
      'spf=pass smtp.mailfrom=strict.test; dmarc=fail policy.dmarc=reject header.from=honest.test',
    )
    const isSigned = await results({ ip: bad, sender: 'b@strict.test', from: 'x@honest.test', sign: true })
    expect(isSigned).toContain('dkim=pass header.d=honest.test header.s=s1; spf=fail')
    expect(isSigned).toContain('dmarc=pass policy.dmarc=reject header.from=honest.test')
    const claim = `Authentication-Results: ${ours}; spf=pass\r\n`
    expect(await results({ ip: bad, sender: 'b@strict.test', from: 'b@strict.test', header: claim })).toContain(
      'spf=fail',
    )
  })

  it('a signature over a changed body fails', async () => {
    const { content } = await written({ sign: true, body: 'Pay Ann\r\n' })
    const client = await clientFrom(bad)
    await client.mail({ from: 'x@plain.test', to: 'ann@home.test', content: content.replace('Pay Ann', 'Pay Eve') })
    const delivered = await arrived(`mail ${count}`)
    expect(resultsIn(delivered)[0]).toMatch(/dkim=fail \(body hash did not verify\) header\.d=honest\.test/)
  })

  it('the null sender is checked by its HELO name', async () => {
    const field = await results({ sender: '', helo: 'helo.strict.test', from: 'x@plain.test' })
    expect(field).toContain('spf=pass smtp.helo=helo.strict.test')
    expect(await results({ sender: '', helo: 'helo.strict.test', from: 'x@plain.test', ip: bad })).toContain(
      'spf=fail smtp.helo=',
    )
  })

  it('DNS failing or silent: delivered anyway, with the result not known', async () => {
    const trouble = await results({ sender: 'x@trouble.test', from: 'x@trouble.test' })
    expect(trouble).toContain('spf=temperror smtp.mailfrom=trouble.test')
    expect(trouble).toContain('dmarc=temperror header.from=trouble.test')
    expect(await results({ sender: 'x@silent.test', from: 'x@plain.test' })).toContain('spf=temperror')
  })

  it('a message of several MiB is hashed as a stream', async () => {
    const field = await results({ sign: true, body: `${'x'.repeat(998)}\r\n`.repeat(5000) })
    expect(field).toContain('dkim=pass')
  })

  it('a setting that is off is not reported; DMARC looks at both for itself', async () => {
    await live.set('general', { verifySpf: 'off', verifyDkim: 'off' })
    const field = await results({ sign: true, ip: bad })
    expect(field).toBe(`Authentication-Results: ${ours}; dmarc=pass policy.dmarc=reject header.from=honest.test`)
  })
})

describe('forged results (RFC 8601 §5)', () => {
  const forged = [
    `Authentication-Results: ${ours}; dkim=pass header.d=bank.test\r\n`,
    `AUTHENTICATION-RESULTS:\r\n (a comment; ${ours}) "${ours.toUpperCase()}" 1;\r\n spf=pass\r\n`,
    'Authentication-Results: mx.elsewhere.test; spf=pass smtp.mailfrom=honest.test\r\n',
  ].join('')

  it('those with our name are removed, others stay', async () => {
    const { subject, id } = await end({ header: forged, sign: true })
    const fields = resultsIn(await arrived(subject))
    expect(fields).toHaveLength(2)
    expect(fields[0]).toContain('dkim=pass header.d=honest.test')
    expect(fields[1]).toBe('Authentication-Results: mx.elsewhere.test; spf=pass smtp.mailfrom=honest.test')
    expect(await live.event('message.authenticated', ({ messageId }) => messageId === id)).toMatchObject({ forged: 2 })
  })

  it('even when all checks are off, and then no field is added', async () => {
    await live.set('general', { verifySpf: 'off', verifyDkim: 'off', verifyDmarc: 'off' })
    const { subject } = await end({ header: forged })
    expect(resultsIn(await arrived(subject))).toEqual([
      'Authentication-Results: mx.elsewhere.test; spf=pass smtp.mailfrom=honest.test',
    ])
    const unmarked = await end({})
    expect(resultsIn(await arrived(unmarked.subject))).toEqual([])
  })
})

describe('which mail is checked', () => {
  it('a client in the relay list gets no DKIM verification, until it is removed from the list', async () => {
    const id = await live.add('relay', '198.51.100.0/24')
    expect(await results({ sign: true })).toBe(
      `Authentication-Results: ${ours}; spf=pass smtp.mailfrom=honest.test; dmarc=pass policy.dmarc=reject header.from=honest.test`,
    )
    // Whether the signature aligns with From is not known, so DMARC has not failed either.
    expect(await results({ sign: true, sender: 'x@plain.test' })).toBe(
      `Authentication-Results: ${ours}; spf=none smtp.mailfrom=plain.test`,
    )
    await live.remove('relay', id)
    expect(await results({ sign: true })).toContain('dkim=pass header.d=honest.test')
  })

  it('the default relay list holds loopback; emptied, loopback is verified', async () => {
    const send = async () => {
      const { subject, content } = await written({ sign: true })
      const client = await live.greeted()
      await client.mail({ from: 'x@plain.test', to: 'ann@home.test', content })
      return resultsIn(await arrived(subject))[0]
    }
    expect(await send()).not.toContain('dkim=')
    await live.empty('relay')
    expect(await send()).toContain('dkim=pass')
  })

  it('logged-in users: auth=pass, and nothing else is checked', async () => {
    await live.set('general', { verifySpf: 'enforce', verifyDmarc: 'enforce' })
    const { subject, content } = await written({})
    const client = await clientFrom(bad)
    await client.startTls()
    await client.ehlo()
    await client.say(`AUTH PLAIN ${Buffer.from(`\0ann\0${password}`).toString('base64')}`).expect(235)
    await client.mail({ from: 'x@honest.test', to: 'ann@home.test', content })
    expect(resultsIn(await arrived(subject))).toEqual([`Authentication-Results: ${ours}; auth=pass`])
  })
})

describe('enforce', () => {
  it("SPF fail: 550 5.7.23 with the domain's explanation; other results are accepted", async () => {
    expect((await end({ ip: bad })).reply.code).toBe(250)
    await live.set('general', { verifySpf: 'enforce' })
    const { reply } = await end({ ip: bad })
    expect(reply).toMatchObject({ code: 550, enhanced: '5.7.23' })
    expect(reply.lines[0]).toContain(`${bad} is not one of ours`)
    const refused = await live.event('message.refused')
    expect(refused).toMatchObject({ verdict: { rule: 'spf', reason: 'spf-fail' } })
    for (const sender of ['x@careful.test', 'x@plain.test', 'x@trouble.test'])
      expect((await end({ ip: bad, sender, from: 'x@plain.test' })).reply.code, sender).toBe(250)
    // Results from before the reply are reused.
    const taken = await end({ sign: true })
    expect(taken.reply.code).toBe(250)
    expect(resultsIn(await arrived(taken.subject))[0]).toContain('dkim=pass header.d=honest.test header.s=s1; spf=pass')
    await live.event('message.authenticated', ({ messageId }) => messageId === taken.id)
    await live.postern.quiet()
    const events = await live.api.get<{ items: unknown[] }>('/v1/events', {
      type: 'message.authenticated',
      message: taken.id,
    })
    expect(events.items).toHaveLength(1)
  })

  it('DMARC reject: 550 5.7.1, unless SPF or DKIM aligns with From', async () => {
    await live.set('general', { verifyDmarc: 'enforce' })
    const { reply } = await end({ ip: bad, sender: 'x@plain.test' })
    expect(reply).toMatchObject({ code: 550, enhanced: '5.7.1' })
    expect(reply.lines[0]).toContain('honest.test')
    expect((await end({ ip: bad, sender: 'x@plain.test', sign: true })).reply.code).toBe(250)
    expect((await end({ ip: good })).reply.code).toBe(250)
  })

  it('DMARC quarantine: 250, held, and delivered when it is released', async () => {
    await live.set('general', { verifyDmarc: 'enforce' })
    const { reply, subject, id } = await end({ ip: bad, sender: 'x@careful.test', from: 'x@careful.test' })
    expect(reply.code).toBe(250)
    expect(await live.event('message.accepted', ({ messageId }) => messageId === id)).toMatchObject({
      held: 'DMARC: careful.test asks for quarantine',
    })
    await until('it is held', async () => (await message(id)).state === 'held')
    expect((await live.mail('ann@home.test')).some((text) => text.includes(subject))).toBe(false)
    await live.change(() => live.api.post(`/v1/messages/${id}/release`))
    const [field] = resultsIn(await arrived(subject))
    expect(field).toContain('dmarc=fail policy.dmarc=quarantine header.from=careful.test')
  })

  it('DKIM alone refuses nothing, and is in the trail', async () => {
    await live.set('general', { verifyDkim: 'enforce' })
    const { content } = await written({ sign: true, body: 'Pay Ann\r\n' })
    const client = await clientFrom(good)
    await client.mail({ from: 'x@honest.test', to: 'ann@home.test', content: content.replace('Pay Ann', 'Pay Eve') })
    await arrived(`mail ${count}`)
    const { rules } = await live.event('message.accepted', ({ subject }) => subject === `mail ${count}`)
    expect((rules as string[]).join('\n')).toMatch(
      /dkim \(watched\) Bad DKIM signatures count as none: honest\.test: fail/,
    )
  })

  it('the DNS does not answer: accepted within the timeout, never refused', async () => {
    await live.set('general', { verifySpf: 'enforce', verifyDmarc: 'enforce', verifyDkim: 'enforce' })
    const { reply } = await end({ ip: bad, sender: 'x@silent.test', from: 'x@silent.test' })
    expect(reply.code, reply.raw).toBe(250)
    expect(reply.afterMs).toBeLessThan(20_000)
  })
})
