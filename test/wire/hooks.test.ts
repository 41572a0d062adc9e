import { createHash, createHmac } from 'node:crypto'
import { createServer, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { MessageView } from '@postern/contract/views.ts'
import { buildApp } from 'fauxqs'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { until } from '../peers/peer.ts'
import { type Postfix, startPostfix } from '../peers/postfix.ts'
import { homeDomain, livePostern, password } from './live.ts'

/** Routes to programs instead of mail servers, and recipients verified by callout. */

type Seen = {
  headers: IncomingMessage['headers']
  body: Buffer
}
let seen: Seen[] = []
let script: (count: number) => { status: number; headers?: OutgoingHttpHeaders; body?: string } = () => ({
  status: 200,
})

const receiver = createServer(async (request, response) => {
  seen.push({ headers: request.headers, body: Buffer.concat(await request.toArray()) })
  const { status, headers = {}, body = '' } = script(seen.length)
  response.writeHead(status, headers).end(body)
})
const s3 = buildApp({ logger: false })
let postfix: Postfix
const secret = 'shared with the webhook'
const hook = () => `http://127.0.0.9:${(receiver.address() as AddressInfo).port}/mail`

beforeAll(async () => {
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.9', resolve))
  await s3.listen({ host: '127.0.0.1', port: 0 })
  postfix = await startPostfix({
    deliver: { to: 'maildir' },
    host: '127.0.0.8',
    domains: ['asked.test', 'caught.test'],
    reject: {
      'nobody@asked.test': '550 5.1.1 no such user here',
      'full@asked.test': '552 5.2.2 mailbox full',
      'moody@asked.test': '450 4.2.0 come later',
    },
  })
})
afterAll(async () => {
  receiver.closeAllConnections()
  receiver.close()
  await s3.close()
  await postfix?.stop()
})
beforeEach(() => {
  seen = []
  script = () => ({ status: 200 })
})

const endpoint = () => `http://127.0.0.1:${(s3.server.address() as AddressInfo).port}`
const live = livePostern({
  postern: () => ({
    env: {
      POSTERN_HOOKS_MAY_REACH: '127.0.0.8,127.0.0.9',
      POSTERN_S3_ENDPOINT: endpoint(),
      POSTERN_S3_ACCESS_KEY_ID: 'test',
      POSTERN_S3_SECRET_ACCESS_KEY: 'test',
    },
  }),
  prepare: async (live) => {
    await homeDomain(live)
    await live.empty('relay')
  },
})

async function domain(name: string, route: object, more: object = {}): Promise<string> {
  const id = await live.make('domains', { name, route, ...more })
  await live.make('accounts', { address: `ann@${name}`, secret: password })
  await live.make('accounts', { address: `bob@${name}`, secret: password })
  return id
}

let serial = 0
async function send(to: string[], body = 'hello\r\n') {
  const client = await live.greeted()
  const content = `Subject: number ${++serial}\r\n\r\n${body}`
  const { raw } = await client.mail({ from: 'x@far.test', to, content })
  await client.quit()
  return { id: /[0-9a-f-]{36}/.exec(raw)?.[0] ?? raw, content }
}

async function message(id: string, fits: (view: MessageView) => boolean): Promise<MessageView> {
  let view: MessageView | undefined
  await until(`${id} is as it should be`, async () => {
    const answer = await live.api.call('GET', `/v1/messages/${id}`)
    view = answer.status === 200 ? (answer.body as MessageView) : undefined
    const isAccepted = view?.trace.some(({ type }) => type === 'message.accepted')
    return isAccepted === true && fits(view as MessageView)
  }).catch((error) => {
    throw new Error(`${error.message}; it is ${JSON.stringify(view)}`)
  })
  return view as MessageView
}
const finished = (id: string) => message(id, ({ state }) => state === 'finished')
const deferred = (id: string) => message(id, ({ state }) => state === 'deferred')

describe('route webhook', () => {
  it('posts the raw message, signed, with its envelope', async () => {
    await domain('hook.test', { type: 'webhook', url: hook(), secret })
    const { id, content } = await send(['ann@hook.test', 'Bob+x@hook.test'])
    const view = await finished(id)
    expect(view.recipients).toMatchObject([{ outcome: 'delivered' }, { outcome: 'delivered' }])
    expect(seen).toHaveLength(1)
    const [{ headers, body }] = seen as [Seen]
    expect(headers['content-type']).toBe('message/rfc822')
    expect(headers['postern-message-id']).toBe(id)
    expect(JSON.parse(String(headers['postern-envelope']))).toMatchObject({
      id,
      sender: 'x@far.test',
      recipients: [
        { address: 'ann@hook.test', original: 'ann@hook.test' },
        { address: 'bob@hook.test', original: 'Bob+x@hook.test' },
      ],
    })
    expect(body.toString('latin1').endsWith(content)).toBe(true)
    expect(body.toString('latin1')).toMatch(/^Authentication-Results: .*\r\n(?:\t.*\r\n)+Received: from client\.test/)
    const [, t, v1] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers['postern-signature'])) ?? []
    const digest = createHash('sha256').update(body).digest('hex')
    expect(v1).toBe(createHmac('sha256', secret).update(`${t}.${digest}`).digest('hex'))
  })

  it('streams a large message whole', async () => {
    await domain('hook.test', { type: 'webhook', url: hook(), secret })
    const { id, content } = await send(['ann@hook.test'], `${'0123456789'.repeat(90)}\r\n`.repeat(5000))
    await finished(id)
    expect(seen[0]?.body.toString('latin1').endsWith(content)).toBe(true)
  })

  it('4xx bounces, 5xx and 429 wait, for as long as Retry-After says', async () => {
    await domain('hook.test', { type: 'webhook', url: hook() })
    script = () => ({ status: 422, body: 'do not want\nthis' })
    const refused = await finished((await send(['ann@hook.test'])).id)
    expect(refused.recipients).toMatchObject([{ outcome: 'bounced', lastReply: 'HTTP 422: do not want' }])
    expect(seen[0]?.headers['postern-signature']).toBeUndefined()
    for (const status of [408, 425, 429, 500, 503, 302]) {
      script = () => ({
        status,
        headers: status === 429 ? { 'retry-after': '7200' } : status === 302 ? { location: hook() } : {},
      })
      seen = []
      const waiting = await deferred((await send(['ann@hook.test'])).id)
      expect(seen, String(status)).toHaveLength(1)
      expect(waiting.recipients[0]?.lastReply).toContain(`HTTP ${status}`)
      if (status !== 429) continue
      const wait = Date.parse(String(waiting.recipients[0]?.nextTryAt)) - Date.now()
      expect(wait).toBeGreaterThan(7_000_000)
      expect(wait).toBeLessThan(7_300_000)
    }
  })

  it('an address that may not be reached gets nothing, and the route can be corrected while mail waits', async () => {
    const id = await domain('hook.test', { type: 'webhook', url: hook().replace('127.0.0.9', '127.0.0.1') })
    const { id: waiting } = await send(['ann@hook.test'])
    expect((await deferred(waiting)).recipients[0]?.lastReply).toContain('POSTERN_HOOKS_MAY_REACH')
    expect(seen).toHaveLength(0)
    await live.alter(`/v1/domains/${id}`, { route: { type: 'webhook', url: hook() } })
    await live.api.post(`/v1/messages/${waiting}/retry`)
    await finished(waiting)
    expect(seen).toHaveLength(1)
  })
})

describe('route s3', () => {
  const get = async (key: string) => (await fetch(`${endpoint()}/mail-bucket/${key}`)).text()

  it('puts message and envelope into the bucket, and waits while there is none', async () => {
    await domain('kept.test', { type: 's3', bucket: 'mail-bucket', prefix: 'in/' })
    const { id, content } = await send(['ann@kept.test', 'bob@kept.test'])
    expect((await deferred(id)).recipients[0]?.lastReply).toContain('s3 mail-bucket: HTTP 404 NoSuchBucket')
    expect((await fetch(`${endpoint()}/mail-bucket`, { method: 'PUT' })).status).toBe(200)
    await live.api.post(`/v1/messages/${id}/retry`)
    const view = await finished(id)
    const key = /s3:\/\/mail-bucket\/(.*)\.eml/.exec(String(view.recipients[0]?.lastReply))?.[1]
    expect(key).toMatch(new RegExp(`^in/20\\d\\d/\\d\\d/\\d\\d/${id}-kept\\.test$`))
    expect((await get(`${key}.eml`)).endsWith(content)).toBe(true)
    expect(JSON.parse(await get(`${key}.json`))).toMatchObject({
      id,
      sender: 'x@far.test',
      recipients: [{ address: 'ann@kept.test' }, { address: 'bob@kept.test' }],
    })
    const large = await send(['ann@kept.test'], `${'0123456789'.repeat(90)}\r\n`.repeat(5000))
    await finished(large.id)
    expect((await get(`${key?.replace(id, large.id)}.eml`)).endsWith(large.content)).toBe(true)
  })

  it('accepts only valid bucket names', async () => {
    for (const bucket of ['a', 'Upper', 'a/../b', 'a b'])
      expect(
        await live.api.call('POST', '/v1/domains', { body: { name: 'bad.test', route: { type: 's3', bucket } } }),
        bucket,
      ).toMatchObject({ status: 422 })
  })
})

describe('recipients verified by callout', () => {
  const route = () => ({ type: 'smtp', host: postfix.host, port: postfix.port, tls: 'none' })
  async function rcpt(to: string) {
    const client = await live.greeted()
    await client.say('MAIL FROM:<x@far.test>').expect(250)
    const reply = await client.ask(`RCPT TO:<${to}>`)
    await client.quit()
    return reply
  }
  const asked = (address: string) =>
    postfix
      .logs()
      .split('\n')
      .filter((line) => line.includes(`to=<${address}>`)).length

  it("exist if the route's host accepts them, and are delivered there", async () => {
    const id = await live.make('domains', { name: 'asked.test', route: route() })
    expect(await rcpt('zoe@asked.test')).toMatchObject({ code: 550, enhanced: '5.1.1' })
    await live.alter(`/v1/domains/${id}`, { verifyRecipients: 'callout' })
    expect(await rcpt('zoe@asked.test')).toMatchObject({ code: 250 })
    const { id: sent, content } = await send(['zoe@asked.test'])
    await finished(sent)
    // Postfix has it by then, and delivers it after its 250.
    await until('Postfix has delivered it', async () =>
      (await postfix.mail('zoe@asked.test')).some((text) => text.includes(content.split('\r\n')[0] as string)),
    )
    expect(await rcpt('full@asked.test')).toMatchObject({ code: 250 })
    await live.alter(`/v1/domains/${id}`, { verifyRecipients: 'directory' })
    expect(await rcpt('zoe@asked.test')).toMatchObject({ code: 550, enhanced: '5.1.1' })
  })

  it('are unknown if it refuses them, which is asked once and explained', async () => {
    await live.make('domains', { name: 'asked.test', route: route(), verifyRecipients: 'callout' })
    for (let i = 0; i < 3; i++) expect(await rcpt('nobody@asked.test')).toMatchObject({ code: 550, enhanced: '5.1.1' })
    expect(asked('nobody@asked.test')).toBe(1)
    const event = await live.event('command.refused', (one) => JSON.stringify(one).includes('nobody@asked.test'))
    expect(event).toMatchObject({ verdict: { rule: 'callout' } })
  })

  it('count as guesses like others: dictionary.maxInvalidRecipients', async () => {
    await live.make('domains', { name: 'asked.test', route: route(), verifyRecipients: 'callout' })
    await live.set('dictionary', { maxInvalidRecipients: 2 })
    const client = await live.greeted()
    await client.say('MAIL FROM:<x@far.test>').expect(250)
    for (let i = 0; i < 2; i++) await client.say('RCPT TO:<nobody@asked.test>').expect(550, '5.1.1')
    await client.expect(421, '4.7.0')
  })

  it('are not asked about if they are in the directory or under a catch-all', async () => {
    await domain('asked.test', route(), { verifyRecipients: 'callout' })
    await live.make('domains', {
      name: 'caught.test',
      route: route(),
      verifyRecipients: 'callout',
      catchAll: 'ann@home.test',
    })
    for (const known of ['ann@asked.test', 'postmaster@asked.test', 'who@caught.test'])
      expect(await rcpt(known), known).toMatchObject({ code: 250 })
    expect(asked('ann@asked.test') + asked('who@caught.test')).toBe(0)
  })

  it('are deferred while it does not answer', async () => {
    const id = await live.make('domains', { name: 'asked.test', route: route(), verifyRecipients: 'callout' })
    const later = { code: 451, enhanced: '4.4.1' }
    expect(await rcpt('moody@asked.test')).toMatchObject(later)
    for (const gone of [{ port: 1 }, { host: '127.0.0.1' }]) {
      await live.alter(`/v1/domains/${id}`, { route: { ...route(), ...gone } })
      expect(await rcpt('zoe@asked.test')).toMatchObject(later)
    }
    await live.event('hook.failed', (one) => JSON.stringify(one).includes('POSTERN_HOOKS_MAY_REACH'))
    await live.alter(`/v1/domains/${id}`, { route: route() })
    expect(await rcpt('zoe@asked.test')).toMatchObject({ code: 250 })
  })

  it('are answered in order for a pipelining client', async () => {
    await live.make('domains', { name: 'asked.test', route: route(), verifyRecipients: 'callout' })
    const client = await live.greeted()
    client.say(
      'MAIL FROM:<x@far.test>',
      'RCPT TO:<one@asked.test>',
      'RCPT TO:<nobody@asked.test>',
      'RCPT TO:<two@asked.test>',
      'RSET',
    )
    const codes: number[] = []
    for (let i = 0; i < 5; i++) codes.push((await client.reply()).code)
    expect(codes).toEqual([250, 250, 550, 250, 250])
    await client.quit()
  })

  it('needs a route with a host', async () => {
    const body = { name: 'bad.test', verifyRecipients: 'callout' }
    const answer = await live.api.call('POST', '/v1/domains', { body })
    expect(answer).toMatchObject({ status: 422, body: { errors: [{ path: 'verifyRecipients' }] } })
  })
})
