import { createServer } from 'node:net'
import type { MessageView, Page, QueueItem } from '@postern/contract/views.ts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { selfSigned } from '../peers/certificate.ts'
import { type Dns, type DnsZone, startDns } from '../peers/dns.ts'
import { type Dovecot, startDovecot } from '../peers/dovecot.ts'
import { showLogsOnFailure } from '../peers/failure.ts'
import { until } from '../peers/peer.ts'
import { type Postfix, startPostfix } from '../peers/postfix.ts'
import { homeDomain, livePostern, password } from './live.ts'

/** Proves [general.gateway, queue.outboundTls]. */

/** Where accepted mail goes, observed at the receiving servers. */

let postfix: Postfix
let dovecot: Dovecot
let dns: Dns

const remote = '127.0.0.2'
const zone: DnsZone = {
  names: {
    'far.test': { mx: [[10, 'mx.far.test']] },
    'mx.far.test': { a: [remote] },
    // 127.0.0.4: nobody listens. 127.0.0.6: says it is busy.
    'fallback.test': {
      mx: [
        [30, 'mx.far.test'],
        [10, 'dead.test'],
        [20, 'busy.test'],
      ],
    },
    'dead.test': { a: ['127.0.0.4'] },
    'busy.test': { a: ['127.0.0.6'] },
    'nomx.test': { a: [remote] },
    'null.test': { mx: 'null', a: [remote] },
    'broken.test': 'servfail',
    'later.test': 'servfail',
  },
}

const busy = createServer((socket) => socket.on('error', () => {}).end('421 4.3.2 busy\r\n'))

beforeAll(async () => {
  dns = await startDns(zone)
  dovecot = await startDovecot({ users: ['ann@lmtp.test'], host: '127.0.0.3' })
  postfix = await startPostfix({
    deliver: { to: 'maildir' },
    host: remote,
    domains: ['far.test', 'fallback.test', 'nomx.test', 'routed.test', 'gateway.test', 'later.test', 'broken.test'],
    certificate: await selfSigned(['mx.far.test']),
    reject: { 'nobody@far.test': '550 5.1.1 no such user here', 'slow@far.test': '451 4.7.1 come later' },
  })
  await new Promise<void>((resolve) => busy.listen(postfix.port, '127.0.0.6', resolve))
})
afterAll(async () => {
  busy.close()
  for (const peer of [postfix, dovecot, dns]) await peer?.stop()
})
showLogsOnFailure(() => [postfix, dovecot])

const live = livePostern({
  postern: () => ({ dns: dns.server, outboundPort: postfix.port }),
  prepare: async (live) => {
    await homeDomain(live)
    const routes = {
      'lmtp.test': { type: 'lmtp', host: dovecot.host, port: dovecot.port },
      'routed.test': { type: 'smtp', host: postfix.host, port: postfix.port },
      'sink.test': { type: 'discard' },
    }
    for (const [name, route] of Object.entries(routes)) {
      await live.make('domains', { name, route })
      await live.make('accounts', { address: `ann@${name}`, secret: password })
    }
  },
})

let serial = 0
/** Sends a mail from ann@home.test. Returns its id and a subject to find it by. */
async function send(to: string | string[], from = 'ann@home.test') {
  const subject = `route ${++serial} of ${process.pid}`
  const client = await live.greeted()
  const content = `From: ${from}\r\nSubject: ${subject}\r\n\r\nhello\r\n.dot\r\n`
  const { raw } = await client.mail({ from, to, content })
  await client.quit()
  return { id: /[0-9a-f-]{36}/.exec(raw)?.[0] ?? raw, subject }
}

const message = (id: string) => live.api.get<MessageView>(`/v1/messages/${id}`)

/** Waits until the API shows the message in this state, from the events of both workers. */
async function becomes(id: string, state: MessageView['state']): Promise<MessageView> {
  let seen: MessageView | undefined
  const is = async () => {
    const answer = await live.api.call('GET', `/v1/messages/${id}`)
    seen = answer.status === 200 ? (answer.body as MessageView) : undefined
    return seen?.state === state && seen.trace.some(({ type }) => type === 'message.accepted')
  }
  await until(`${id} is ${state}`, is, { withinMs: 15_000, everyMs: 100 }).catch((error) => {
    throw new Error(`${error.message}; it is ${JSON.stringify(seen)}`)
  })
  return seen as MessageView
}

async function finished(id: string, outcome: 'delivered' | 'bounced' | 'discarded') {
  const view = await becomes(id, 'finished')
  for (const recipient of view.recipients) expect(recipient, JSON.stringify(view)).toMatchObject({ outcome })
  return view
}

async function at(mail: () => Promise<string[]>, subject: string): Promise<string> {
  let found: string | undefined
  const come = async () => {
    found = (await mail()).find((text) => text.includes(subject))
    return found !== undefined
  }
  await until(`"${subject}" has arrived`, come, { withinMs: 15_000, everyMs: 50 })
  return found as string
}

const atPostfix = (recipient: string, subject: string) => at(() => postfix.mail(recipient), subject)
/** Returns the notification about this message in ann's maildir. */
const dsnAbout = (subject: string) =>
  at(async () => (await live.mail('ann@home.test')).filter((text) => text.includes('multipart/report')), subject)

async function order(id: string, action: string, body?: object) {
  await live.change(() => live.api.post(`/v1/messages/${id}/${action}`, body))
}

describe('routes of local domains', () => {
  it('maildir', async () => {
    const { id, subject } = await send('bob@home.test')
    expect(await at(() => live.mail('bob@home.test'), subject)).toMatch(/^Return-Path: <ann@home\.test>\r\n/)
    const view = await finished(id, 'delivered')
    expect(view).toMatchObject({ sender: 'ann@home.test', origin: 'smtp', subject })
    expect(view.trace.map(({ type }) => type)).toEqual(
      expect.arrayContaining(['message.accepted', 'delivery.delivered']),
    )
  })

  it('lmtp, into a real Dovecot', async () => {
    const { id, subject } = await send('ann@lmtp.test')
    const text = await at(() => dovecot.mail('ann@lmtp.test'), subject)
    expect(text).toMatch(/\n\.dot\r?\n$/)
    const { attempts } = await finished(id, 'delivered')
    expect(attempts[0]?.reply).toMatch(/^250 2\.0\.0/)
  })

  it('lmtp: each recipient has its own reply, and unknown ones bounce', async () => {
    await live.make('accounts', { address: 'eve@lmtp.test', secret: password })
    const { id, subject } = await send(['ann@lmtp.test', 'eve@lmtp.test'])
    await at(() => dovecot.mail('ann@lmtp.test'), subject)
    const { recipients } = await becomes(id, 'finished')
    expect(Object.fromEntries(recipients.map(({ address, outcome }) => [address, outcome]))).toEqual({
      'ann@lmtp.test': 'delivered',
      'eve@lmtp.test': 'bounced',
    })
    const dsn = await dsnAbout(subject)
    expect(dsn).toMatch(/Final-Recipient: rfc822; ?eve@lmtp\.test/i)
    expect(dsn).not.toMatch(/Final-Recipient: rfc822; ?ann@lmtp\.test/i)
  })

  it('smtp, to the host of the route', async () => {
    const { id, subject } = await send('ann@routed.test')
    await atPostfix('ann@routed.test', subject)
    await finished(id, 'delivered')
  })

  it('discard', async () => {
    const { id } = await send('ann@sink.test')
    await finished(id, 'discarded')
  })

  it('a changed route applies to the next message', async () => {
    const { items } = await live.api.get<Page<{ id: string; name: string }>>('/v1/domains')
    const domain = items.find(({ name }) => name === 'sink.test')?.id
    await live.alter(`/v1/domains/${domain}`, { route: { type: 'maildir' } })
    const { subject } = await send('ann@sink.test')
    await at(() => live.mail('ann@sink.test'), subject)
  })
})

describe('remote domains, using DNS', () => {
  it('MX, with STARTTLS if the remote host offers it', async () => {
    const { id, subject } = await send('x@far.test')
    const text = await atPostfix('x@far.test', subject)
    expect(text).toMatch(/using TLSv1\.[23] with cipher/)
    const { attempts } = await finished(id, 'delivered')
    expect(attempts[0]).toMatchObject({ remote: { host: 'mx.far.test', address: remote } })
    expect(attempts[0]?.remote.tls).toMatch(/TLSv1/)
  })

  it('outboundTls none: without TLS', async () => {
    await live.set('queue', { outboundTls: 'none' })
    const { subject } = await send('plain@far.test')
    expect(await atPostfix('plain@far.test', subject)).not.toMatch(/using TLSv1/)
  })

  it('the next preference is tried if the better ones fail', async () => {
    const { id, subject } = await send('x@fallback.test')
    await atPostfix('x@fallback.test', subject)
    await finished(id, 'delivered')
  })

  it('no MX: the address of the domain', async () => {
    const { id, subject } = await send('x@nomx.test')
    await atPostfix('x@nomx.test', subject)
    await finished(id, 'delivered')
  })

  it('mail refused with 5xx bounces, with the remote reply', async () => {
    const { id, subject } = await send('nobody@far.test')
    const { recipients } = await finished(id, 'bounced')
    expect(recipients[0]?.lastReply).toContain('no such user here')
    expect(await dsnAbout(subject)).toMatch(/Diagnostic-Code: smtp; ?550 5\.1\.1/i)
  })

  it('mail deferred with 4xx waits, and shows why and until when', async () => {
    const { id } = await send('slow@far.test')
    const { recipients } = await becomes(id, 'deferred')
    expect(recipients[0]).toMatchObject({
      outcome: 'waiting',
      attempts: 1,
      lastReply: expect.stringContaining('come later'),
    })
    expect(Date.parse(recipients[0]?.nextTryAt ?? '')).toBeGreaterThan(Date.now())
    await live.event('delivery.deferred', ({ messageId }) => messageId === id)
    expect((await becomes(id, 'deferred')).attempts).toHaveLength(1)
    const queue = await live.api.get<Page<QueueItem>>('/v1/queue', { state: 'deferred', domain: 'far.test' })
    expect(queue.items.map((item) => item.id)).toContain(id)
    await order(id, 'delete')
  })

  it.each([
    ['null.test', '5.1.10', 'null MX (RFC 7505)'],
    ['gone.test', '5.1.2', 'NXDOMAIN'],
  ])('%s bounces with %s: %s', async (domain, status) => {
    const { id, subject } = await send(`x@${domain}`)
    await finished(id, 'bounced')
    const dsn = await dsnAbout(subject)
    expect(dsn).toMatch(/^Return-Path: <>\r\n/)
    expect(dsn).toMatch(/\r\nTo: <?ann@home\.test>?\r\n/i)
    expect(dsn).toMatch(/\r\nAuto-Submitted: auto-replied/i)
    const { boundary, parts } = partsOf(dsn)
    expect(boundary).toBeTruthy()
    expect(parts.map(({ type }) => type)).toEqual(['text/plain', 'message/delivery-status', 'message/rfc822'])
    const fields = parts[1]?.body ?? ''
    expect(fields).toMatch(/^Reporting-MTA: dns; ?\S+/im)
    expect(fields).toMatch(new RegExp(`^Final-Recipient: rfc822; ?x@${domain}\\r$`, 'im'))
    expect(fields).toMatch(/^Action: failed\r$/im)
    expect(fields).toMatch(new RegExp(`^Status: ${status.replaceAll('.', '\\.')}\\r$`, 'm'))
    expect(parts[2]?.body).toContain(`Subject: ${subject}`)
    const written = await live.event('dsn.written', ({ about }) => about === id)
    expect(written).toMatchObject({ action: 'failed' })
  })

  it('a bounce of mail from the null sender is not reported', async () => {
    const before = (await live.mail('ann@home.test')).length
    const { id } = await send('x@gone.test', '')
    await finished(id, 'bounced')
    await live.postern.quiet()
    expect(await live.mail('ann@home.test')).toHaveLength(before)
  })

  it('SERVFAIL waits; when the DNS answers again, retry delivers', async () => {
    const { id, subject } = await send('x@later.test')
    const { recipients } = await becomes(id, 'deferred')
    expect(recipients[0]?.outcome).toBe('waiting')
    await dns.change({ names: { ...zone.names, 'later.test': { mx: [[10, 'mx.far.test']] } } })
    const delivered = async () => {
      // 409: it has been delivered meanwhile.
      if ((await message(id)).state !== 'finished')
        await order(id, 'retry').catch((error) => expect(error).toMatchObject({ status: 409 }))
      return (await postfix.mail('x@later.test')).some((text) => text.includes(subject))
    }
    await until('it is delivered', delivered, { withinMs: 20_000, everyMs: 1000 })
    await finished(id, 'delivered')
  })
})

describe('the gateway', () => {
  it('gets all remote mail without MX look-ups; local mail stays', async () => {
    await live.set('general', { gateway: { host: remote, port: postfix.port, tls: 'none' } })
    const { id, subject } = await send(['x@gateway.test', 'bob@home.test'])
    await atPostfix('x@gateway.test', subject)
    await at(() => live.mail('bob@home.test'), subject)
    await finished(id, 'delivered')
    await live.set('general', { gateway: 'off' })
    const direct = await send('x@gateway.test')
    await finished(direct.id, 'bounced')
  })
})

describe("an operator's actions on a message", () => {
  it('hold, release, bounce', async () => {
    const { id, subject } = await send('x@broken.test')
    await becomes(id, 'deferred')
    await order(id, 'hold')
    await becomes(id, 'held')
    await live.change(() => live.api.post('/v1/queue/run'))
    await becomes(id, 'held')
    await order(id, 'release')
    const released = await becomes(id, 'deferred')
    expect(released.trace.map(({ type }) => type)).toEqual(
      expect.arrayContaining(['message.held', 'message.released', 'delivery.deferred']),
    )
    await order(id, 'bounce')
    await finished(id, 'bounced')
    await dsnAbout(subject)
  })

  it('delete: discarded, without a notification', async () => {
    const { id, subject } = await send('x@broken.test')
    await becomes(id, 'deferred')
    await order(id, 'delete')
    const { trace } = await finished(id, 'discarded')
    expect(trace.find(({ type }) => type === 'delivery.discarded')?.by).toContain('admin@postern.test')
    expect((await live.mail('ann@home.test')).some((text) => text.includes(subject))).toBe(false)
  })

  it('reroute: to another host', async () => {
    const { id, subject } = await send('x@broken.test')
    await becomes(id, 'deferred')
    await order(id, 'reroute', { to: { host: remote, port: postfix.port } })
    await atPostfix('x@broken.test', subject)
    const { trace } = await finished(id, 'delivered')
    expect(trace.map(({ type }) => type)).toContain('message.rerouted')
  })

  it('all that match a filter at once, and what would match', async () => {
    const ids = [(await send('a@broken.test')).id, (await send('b@broken.test')).id]
    for (const id of ids) await becomes(id, 'deferred')
    const asked = { action: 'delete', filter: { domain: 'broken.test' } }
    const { matched } = await live.api.post<{ matched: number }>('/v1/queue/actions', { ...asked, dryRun: true })
    expect(matched).toBe(2)
    for (const id of ids) await becomes(id, 'deferred')
    await live.change(() => live.api.post('/v1/queue/actions', asked))
    for (const id of ids) await finished(id, 'discarded')
  })
})

it('the books balance: everything is delivered, bounced or discarded', async () => {
  const { total } = await live.postern.quiet()
  expect(total.balance).toBe(0)
  for (const count of [total.delivered, total.bounced, total.discarded]) expect(count).toBeGreaterThan(0)
  expect(total.received).toBe(total.delivered + total.bounced + total.discarded)
})

/** Returns the parts of a multipart message, unchanged. */
function partsOf(text: string): { boundary: string; parts: { type: string; body: string }[] } {
  const boundary = /^Content-Type: multipart\/report;[\s\S]*?boundary="?([^"\r\n;]+)"?/im.exec(text)?.[1] ?? ''
  const pieces = text.split(`\r\n--${boundary}`).slice(1, -1)
  const parts = pieces.map((piece) => {
    const type = /^Content-Type: ([\w/-]+)/im.exec(piece)?.[1]?.toLowerCase() ?? ''
    return { type, body: piece.slice(piece.indexOf('\r\n\r\n') + 4) }
  })
  return { boundary, parts }
}
