import { spawn } from 'node:child_process'
import { createHash, createHmac } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { MessageView } from '@postern/contract/views.ts'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { freePort, until } from '../peers/peer.ts'
import { homeDomain, livePostern } from './live.ts'

/** The delivery application: an HTTP server of this test, asked by a worker that is never restarted. */

type Seen = {
  headers: IncomingMessage['headers']
  body: Buffer
  envelope: Envelope
  message: string
}
type Envelope = {
  id: string
  sender: string
  recipients: { address: string; original: string }[]
  size: number
  client: { ip: string }
}
type Script = (
  seen: Seen,
) => { status?: number; type?: string; headers?: object; body?: string } | 'silence' | 'hang up'

const secret = 'shared with the filter'
let seen: Seen[] = []
let open = 0
let script: Script = () => ({ body: '{"action":"accept"}' })

/** The filter from README, which also stores the requests. */
const server: Server = createServer(async (request, response) => {
  open++
  response.once('close', () => open--)
  const body = Buffer.concat(await request.toArray())
  const type = String(request.headers['content-type'])
  const form = await new Response(body, { headers: { 'content-type': type } }).formData()
  const file = form.get('message') as File
  const message = Buffer.from(await file.arrayBuffer()).toString('latin1')
  const one = { headers: request.headers, body, envelope: JSON.parse(String(form.get('envelope'))), message }
  seen.push(one)
  const answer = script(one)
  if (answer === 'silence') return
  if (answer === 'hang up') return void request.socket.destroy()
  response.writeHead(answer.status ?? 200, { 'content-type': answer.type ?? 'application/json', ...answer.headers })
  response.end(answer.body ?? '')
})

beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.9', resolve)))
afterAll(() => {
  server.closeAllConnections()
  server.close()
})
beforeEach(() => {
  seen = []
  script = () => ({ body: '{"action":"accept"}' })
})

const live = livePostern({
  postern: () => ({ env: { POSTERN_HOOKS_MAY_REACH: '127.0.0.9,127.0.0.10' } }),
  prepare: homeDomain,
})

let serial = 0
/** Uses a new URL each time, so that the failures of one test do not count in the next. */
const url = (host = '127.0.0.9') => `http://${host}:${(server.address() as AddressInfo).port}/filter?${++serial}`
const use = (more: object = {}) =>
  live.set('advanced', { deliveryApplication: { url: url(), secret, timeoutSeconds: 2, onFailure: 'defer', ...more } })
const answer =
  (value: unknown): Script =>
  () => ({ body: JSON.stringify(value) })

async function send({ to = ['ann@home.test'], content = `Subject: number ${++serial}\r\n\r\nhello\r\n` } = {}) {
  const client = await live.greeted()
  await client.say('MAIL FROM:<x@far.test>').expect(250)
  for (const one of to) await client.say(`RCPT TO:<${one}>`).expect(250)
  await client.say('DATA').expect(354)
  client.write(`${content.replace(/^\./gm, '..')}.\r\n`)
  const reply = await client.reply()
  await client.quit()
  return { reply, id: /[0-9a-f-]{36}/.exec(reply.raw)?.[0] ?? '', content }
}

const yes = { code: 250, enhanced: '2.0.0' }
const later = { code: 451, enhanced: '4.7.1' }

async function message(id: string, state: string): Promise<MessageView> {
  let view: MessageView | undefined
  await until(`${id} is ${state}`, async () => {
    const answer = await live.api.call('GET', `/v1/messages/${id}`)
    view = answer.status === 200 ? (answer.body as MessageView) : undefined
    return view?.state === state && view.trace.some(({ type }) => type === 'message.accepted')
  })
  return view as MessageView
}

// [advanced.deliveryApplication]
describe('the delivery application', () => {
  it('gets the message and its envelope, signed, and only when it is on', async () => {
    await send()
    expect(seen).toHaveLength(0)
    await use()
    const { reply, id, content } = await send({
      to: ['ann@home.test', 'bob+box@also.test'],
      content: 'Subject: a\r\n\r\n.dot\xe4\r\n',
    })
    expect(reply).toMatchObject(yes)
    const [{ headers, body, envelope, message }] = seen as [Seen]
    expect(message).toBe(content)
    expect(envelope).toMatchObject({
      id,
      sender: 'x@far.test',
      recipients: [
        { address: 'ann@home.test', original: 'ann@home.test' },
        { address: 'bob@home.test', original: 'bob+box@also.test' },
      ],
      size: content.length,
      client: { ip: '127.0.0.1', helo: 'client.test', listener: 'smtp' },
    })
    const [, t, v1] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers['postern-signature'])) ?? []
    const digest = createHash('sha256').update(body).digest('hex')
    expect(v1).toBe(createHmac('sha256', secret).update(`${t}.${digest}`).digest('hex'))
    expect(Math.abs(Date.now() / 1000 - Number(t))).toBeLessThan(10)
    await live.set('advanced', { deliveryApplication: 'off' })
    await send()
    expect(seen).toHaveLength(1)
  })

  it('is asked last: never gets what another rule refuses', async () => {
    await use()
    await live.set('general', { maxMessageBytes: 2000 })
    expect((await send({ content: `Subject: big\r\n\r\n${'x'.repeat(3000)}\r\n` })).reply.code).toBe(552)
    expect(seen).toHaveLength(0)
  })

  it('refuses with its own text', async () => {
    await use()
    script = answer({ action: 'reject', reason: 'no invoices today' })
    const { reply } = await send()
    expect(reply.raw).toBe('550 5.7.1 Message refused: no invoices today')
    const event = await live.event('message.refused', (one) => JSON.stringify(one).includes('no invoices today'))
    expect(event).toMatchObject({ verdict: { rule: 'delivery-application', reason: 'application-refused' } })
  })

  it('holds a message until it is released, and adds headers', async () => {
    await use()
    script = answer({ action: 'hold', reason: 'look at it', headers: [{ name: 'X-Filter', value: 'doubtful; 7.1' }] })
    const { reply, id } = await send()
    expect(reply).toMatchObject(yes)
    const view = await message(id, 'held')
    expect(view.trace.find(({ type }) => type === 'message.accepted')).toMatchObject({
      held: 'delivery application: look at it',
    })
    await live.api.post(`/v1/messages/${id}/release`)
    await message(id, 'finished')
    const mail = (await live.mail('ann@home.test')).find((text) => text.includes(id))
    expect(mail).toMatch(/^X-Filter: doubtful; 7\.1\r$/m)
    expect(mail?.indexOf('X-Filter')).toBeLessThan(mail?.indexOf('Subject:') ?? 0)
  })

  it('redirects, and the trace keeps the original recipients', async () => {
    await use()
    script = answer({ action: 'redirect', to: ['bob@also.test'], headers: [{ name: 'X-Meant-For', value: 'ann' }] })
    const { id } = await send()
    const view = await message(id, 'finished')
    expect(view.recipients).toMatchObject([
      { address: 'bob@home.test', original: 'ann@home.test', outcome: 'delivered' },
    ])
    expect(
      (await live.mail('bob@home.test')).some((text) => text.includes(id) && text.includes('X-Meant-For: ann')),
    ).toBe(true)
    expect((await live.mail('ann@home.test')).some((text) => text.includes(id))).toBe(false)
  })

  it('gets a large message whole, as a stream', async () => {
    await use({ timeoutSeconds: 20 })
    await live.set('general', { maxMessageBytes: 0 })
    const line = `${'0123456789abcdef'.repeat(60)}\r\n`
    const { reply, content } = await send({ content: `Subject: large\r\n\r\n${line.repeat(9000)}` })
    expect(reply).toMatchObject(yes)
    expect(seen[0]?.message).toBe(content)
  })
})

const liars: Record<string, Script> = {
  'another status': () => ({ status: 201, body: '{"action":"accept"}' }),
  'a redirection, which is not followed': () => ({ status: 307, headers: { location: url() }, body: '' }),
  'no JSON': () => ({ body: 'accept' }),
  'another type': () => ({ type: 'text/html', body: '{"action":"accept"}' }),
  'an unknown action': answer({ action: 'explode' }),
  'an unknown key': answer({ action: 'accept', also: 1 }),
  'a header with a second line': answer({ action: 'accept', headers: [{ name: 'X-A', value: 'b\r\nBcc: c@d.test' }] }),
  'a header name with a colon': answer({ action: 'accept', headers: [{ name: 'X-A: b\r\nX', value: 'c' }] }),
  'a header of the trace': answer({ action: 'accept', headers: [{ name: 'Received', value: 'from nowhere' }] }),
  'too many headers': answer({
    action: 'accept',
    headers: Array.from({ length: 51 }, () => ({ name: 'X-A', value: 'b' })),
  }),
  'a redirection to no address': answer({ action: 'redirect', to: ['ann@home.test>\r\nDATA'] }),
  'a redirection to an unknown user': answer({ action: 'redirect', to: ['nobody@home.test'] }),
  'a reason of two lines': answer({ action: 'reject', reason: 'a\r\n250 b' }),
  'an endless answer': () => ({ body: `{"action":"accept","x":"${'y'.repeat(100_000)}"}` }),
  'a closed connection': () => 'hang up',
}

describe('a delivery application that', () => {
  for (const [what, lie] of Object.entries(liars))
    it(`answers with ${what} has not answered`, async () => {
      await use()
      script = lie
      expect((await send()).reply).toMatchObject(later)
      expect(seen).toHaveLength(1)
    })

  it('is silent: the setting decides after the timeout', async () => {
    script = () => 'silence'
    await use({ timeoutSeconds: 1 })
    const { reply } = await send()
    expect(reply).toMatchObject(later)
    expect(reply.afterMs).toBeGreaterThan(900)
    await until('the request was given up', () => open === 0)
    await use({ timeoutSeconds: 1, onFailure: 'accept' })
    const accepted = await send()
    expect(accepted.reply).toMatchObject(yes)
    expect(JSON.stringify((await message(accepted.id, 'finished')).trace)).toContain('its onFailure is accept')
    await use({ timeoutSeconds: 1, onFailure: 'hold' })
    await message((await send()).id, 'held')
  })

  it('is slow for one client does not delay others', async () => {
    script = ({ message }) => (message.includes('slow') ? 'silence' : { body: '{"action":"accept"}' })
    await use({ timeoutSeconds: 5 })
    let ended = false
    const slow = send({ content: 'Subject: slow\r\n\r\nx\r\n' }).finally(() => {
      ended = true
    })
    await until('the slow one was asked', () => seen.length === 1)
    for (let i = 0; i < 5; i++) expect((await send()).reply).toMatchObject(yes)
    expect(ended).toBe(false)
    expect((await slow).reply).toMatchObject(later)
  })

  it('is down costs its timeout only a few times, and is asked again later', async () => {
    script = () => 'silence'
    await use({ timeoutSeconds: 1 })
    for (let i = 0; i < 5; i++) await send()
    const { reply } = await send()
    expect(reply).toMatchObject(later)
    expect(seen).toHaveLength(5)
    expect(await live.event('hook.failed')).toMatchObject({ hook: 'delivery-application' })
    script = () => ({ body: '{"action":"accept"}' })
    await until('it is asked again', async () => (await send()).reply.code === 250, { withinMs: 20_000, everyMs: 1000 })
  })

  it('does not listen, or has an address that may not be reached, counts as unavailable', async () => {
    await use({ url: 'http://127.0.0.10:1/' })
    expect((await send()).reply).toMatchObject(later)
    const told = new Set<string>()
    for (const host of ['127.0.0.1', '[::ffff:127.0.0.1]', '169.254.169.254', '10.0.0.1', 'localhost']) {
      await use({ url: url(host) })
      expect((await send()).reply, host).toMatchObject(later)
      const isNew = (event: { id: string }) =>
        !told.has(event.id) && JSON.stringify(event).includes('add it to POSTERN_HOOKS_MAY_REACH')
      told.add((await live.event('message.refused', isNew)).id)
    }
    expect(seen).toHaveLength(0)
  })

  it('is the example in README understands and answers', async () => {
    const readme = await readFile(join(import.meta.dirname, '../../README.md'), 'utf8')
    const port = await freePort('127.0.0.9')
    const code = /```js\n([\s\S]*?)```/.exec(readme)?.[1]?.replace('listen(8099)', `listen(${port}, '127.0.0.9')`) ?? ''
    const filter = spawn(process.execPath, ['--input-type=module', '-e', code], {
      env: { ...process.env, FILTER_SECRET: secret },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    try {
      await use({ url: `http://127.0.0.9:${port}/`, timeoutSeconds: 10 })
      await until('it takes mail', async () => (await send()).reply.code === 250, { withinMs: 30_000, everyMs: 500 })
      const spam = await send({ content: 'Subject: a\r\n\r\nviagra\r\n' })
      expect(spam.reply.raw).toBe('550 5.7.1 Message refused: no, thanks')
      await use({ url: `http://127.0.0.9:${port}/`, secret: 'another secret' })
      expect((await send()).reply).toMatchObject(later)
    } finally {
      filter.kill()
    }
  })

  it('has a secret that the API never shows', async () => {
    await use()
    const text = JSON.stringify(await live.api.get('/v1/settings'))
    expect(text).not.toContain(secret)
    for (const bad of ['ftp://a.test/', 'http://user:pass@a.test/', 'not a url'])
      expect(
        await live.api.call('PATCH', '/v1/settings/advanced', { body: { deliveryApplication: { url: bad } } }),
      ).toMatchObject({ status: 422 })
  })
})
