import type { PosternEvent } from '@postern/contract/events.ts'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Fixture, startFixture } from './test/fixture.ts'

let api: Fixture
beforeAll(async () => {
  api = await startFixture()
})

const id = (i: number) => `019a0000-0000-7000-8000-${String(i).padStart(12, '0')}`
const at = new Date().toISOString()
const remote = { host: 'mx.example.net', address: '127.0.0.9', port: 25 }
const numbers = { smtp: 0, queue: 0 }

type Bare = PosternEvent extends infer E
  ? E extends PosternEvent
    ? Omit<E, 'n' | 'at'> & { at?: string }
    : never
  : never

async function hand(service: 'smtp' | 'queue', ...bare: Bare[]) {
  const events = bare.map((event) => ({ n: ++numbers[service], at, ...event }))
  const answer = await api.send('POST', '/v1/worker/events', { token: await api.tokens[service](), body: { events } })
  expect(answer.status).toBe(200)
  return answer.json.acknowledged as number
}

const accepted = (i: number, ...addresses: string[]): Bare => ({
  type: 'message.accepted',
  messageId: id(i),
  origin: 'smtp',
  client: { ip: '192.0.2.7', helo: 'client.example' },
  sender: 'jane@example.org',
  recipients: addresses.map((address) => ({ address, original: address })),
  size: 1234,
  subject: 'Quarterly figures',
  revision: 1,
  rules: [],
})
const attempt = (i: number, ...recipients: string[]) => ({
  messageId: id(i),
  attempt: 1,
  recipients,
  remote,
  reply: '250 ok',
  durationMs: 3,
})
const deferred = (i: number, ...recipients: string[]): Bare => ({
  type: 'delivery.deferred',
  ...attempt(i, ...recipients),
  reply: '451 4.7.1 greylisted, come back',
  nextTryAt: new Date(Date.now() + 60_000).toISOString(),
  cause: 'greylisted',
})
const books = async () => (await api.send('GET', '/v1/books')).json

describe('messages and the queue', () => {
  it('follow the events, in whatever order they arrive', async () => {
    await hand('queue', { type: 'delivery.delivered', ...attempt(1, 'a@example.net') })
    expect((await books()).total).toMatchObject({ received: 0, delivered: 1, balance: -1 })
    await hand(
      'smtp',
      accepted(1, 'a@example.net', 'b@example.com'),
      accepted(2, 'c@example.com'),
      accepted(3, 'd@example.com'),
    )
    expect((await books()).total).toEqual({
      received: 4,
      delivered: 1,
      bounced: 0,
      discarded: 0,
      duplicates: 0,
      queued: 3,
      balance: 0,
    })
    await hand('queue', deferred(1, 'b@example.com'))
    await hand('queue', { type: 'message.held', messageId: id(2), by: 'owner@example.org' })
    const { items } = (await api.send('GET', '/v1/queue')).json
    expect(items.map(({ id, state }: { id: string; state: string }) => [id, state])).toEqual([
      [id(1), 'deferred'],
      [id(2), 'held'],
      [id(3), 'active'],
    ])
    expect(items[0]).toMatchObject({
      recipients: ['b@example.com'],
      attempts: 1,
      cause: expect.stringContaining('greylisted'),
      nextTryAt: expect.any(String),
    })
    const ids = async (query: string) =>
      (await api.send('GET', `/v1/queue?${query}`)).json.items.map((item: { id: string }) => item.id)
    expect(await ids('state=held')).toEqual([id(2)])
    expect(await ids('cause=greylisted&domain=example.com')).toEqual([id(1)])
    expect(await ids('recipient=d@')).toEqual([id(3)])
    expect(await ids('olderThanMinutes=5')).toEqual([])
    expect((await api.send('GET', '/v1/queue/summary')).json).toMatchObject({
      messages: 3,
      byState: { active: 1, deferred: 1, held: 1 },
      topDomains: [{ domain: 'example.com', messages: 3 }],
      topCauses: [{ cause: 'greylisted', messages: 1 }],
    })
  })

  it('count a recipient once, even if its outcome is reported again under another number', async () => {
    await hand('queue', { type: 'delivery.delivered', ...attempt(1, 'b@example.com') })
    await hand(
      'queue',
      { type: 'delivery.delivered', ...attempt(1, 'b@example.com') },
      { type: 'delivery.delivered', ...attempt(1, 'a@example.net') },
    )
    await hand('smtp', accepted(1, 'a@example.net', 'b@example.com'))
    expect((await books()).total).toMatchObject({ received: 4, delivered: 2, queued: 2, balance: 0 })
    const message = (await api.send('GET', `/v1/messages/${id(1)}`)).json
    expect(message).toMatchObject({
      state: 'finished',
      sender: 'jane@example.org',
      subject: 'Quarterly figures',
      client: { ip: '192.0.2.7' },
    })
    expect(message.attempts.map(({ outcome }: { outcome: string }) => outcome)).toContain('deferred')
    // One of them says that the outcome was reported twice.
    expect(message.trace.length).toBe(8)
  })

  it('store orders as rows for the Queue Manager', async () => {
    const release = await api.send('POST', `/v1/messages/${id(2)}/release`)
    expect(release.status).toBe(202)
    const rows = (
      await api.send('GET', `/v1/worker/changes?after=${release.json.revision - 1}`, {
        token: await api.tokens.queue(),
      })
    ).text.split('\n')
    expect(JSON.parse(rows[1] ?? '')).toMatchObject({
      kind: 'order',
      id: release.json.orderIds[0],
      value: { action: 'release', messageIds: [id(2)], orderedBy: 'owner@example.org' },
    })
    expect((await api.send('POST', `/v1/messages/${id(1)}/hold`)).status).toBe(409)
    expect((await api.send('POST', `/v1/messages/${id(99)}/hold`)).status).toBe(404)
    expect((await api.send('POST', `/v1/messages/${id(2)}/reroute`)).status).toBe(422)
    expect(
      (await api.send('POST', `/v1/messages/${id(2)}/reroute`, { body: { to: { host: 'mx2.example.org' } } })).status,
    ).toBe(202)
    const revision = (await api.send('GET', '/v1/settings')).json.revision
    const dry = await api.send('POST', '/v1/queue/actions', {
      body: { action: 'delete', filter: { domain: 'example.com' }, dryRun: true },
    })
    expect(dry.json).toMatchObject({ matched: 2, dryRun: true, revision })
    const real = await api.send('POST', '/v1/queue/actions', { body: { action: 'hold', filter: { sender: 'jane' } } })
    expect(real.json).toMatchObject({ matched: 2, revision: revision + 1 })
    expect((await api.send('POST', '/v1/queue/run')).status).toBe(202)
    expect((await api.send('GET', '/v1/audit?limit=1')).json.items[0]).toMatchObject({
      action: 'queue.run',
      entity: 'the whole queue',
    })
  })
})

describe('events', () => {
  it('are acknowledged up to the first gap', async () => {
    const start = numbers.queue
    const stop: Bare = { type: 'message.released', messageId: id(2), by: 'x' }
    numbers.queue += 1
    expect(await hand('queue', stop)).toBe(start)
    numbers.queue = start
    expect(await hand('queue', stop)).toBe(start + 2)
    numbers.queue = start + 2
  })

  it('of unknown types are stored as they arrived', async () => {
    const token = await api.tokens.smtp()
    const event = { n: ++numbers.smtp, at, type: 'moon.rose', how: 'slowly' }
    expect((await api.send('POST', '/v1/worker/events', { token, body: { events: [event] } })).json.acknowledged).toBe(
      numbers.smtp,
    )
    expect((await api.send('GET', '/v1/events?limit=1')).json.items[0]).toMatchObject({
      type: 'moon.rose',
      how: 'slowly',
    })
  })

  it('can be searched by type, message and words', async () => {
    const find = async (query: string) =>
      (await api.send('GET', `/v1/events?${query}`)).json.items as { type: string; text: string }[]
    expect((await find('type=delivery.')).every(({ type }) => type.startsWith('delivery.'))).toBe(true)
    expect(await find('q=greylisted')).toHaveLength(1)
    expect((await find('q=quarterly%20192.0.2.7')).length).toBe(4)
    expect((await api.send('GET', '/v1/events?q=%22%27)%20OR%20*%20NEAR(')).status).toBe(200)
    expect((await api.send('GET', '/v1/events?type=nothing')).status).toBe(422)
    const first = (await api.send('GET', '/v1/events?limit=3')).json
    const next = (await api.send('GET', `/v1/events?limit=3&cursor=${first.nextCursor}`)).json
    expect(Number(next.items[0].id)).toBeLessThan(Number(first.items[2].id))
  })

  it('are streamed as they arrive, and resume after Last-Event-ID', async () => {
    const abort = new AbortController()
    const headers = { authorization: `Bearer ${await api.tokens.viewer()}`, 'last-event-id': '0' }
    const response = await api.app.request('/v1/events/stream?type=message.', { headers, signal: abort.signal })
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    const reader = (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader()
    let seen = ''
    const until = async (text: string) => {
      while (!seen.includes(text)) seen += (await reader.read()).value ?? ''
    }
    await until('Quarterly figures')
    expect(seen).toMatch(/id: \d+\nevent: message\.accepted\ndata: \{/)
    await hand('smtp', accepted(50, 'live@example.com'))
    await until('live@example.com')
    abort.abort()
    expect(seen).not.toContain('event: delivery')
  })

  it('give a time series', async () => {
    const { points } = (await api.send('GET', '/v1/stats?stepMinutes=60')).json
    expect(points).toContainEqual(expect.objectContaining({ received: 5, delivered: 2, deferred: 1 }))
    expect((await api.send('GET', '/v1/stats?since=2020-01-01T00:00:00Z&stepMinutes=1')).status).toBe(422)
  })
})

describe('a trace', () => {
  it('begins with the acceptance, even if the Queue Manager recorded first', async () => {
    const earlier = new Date(Date.parse(at) - 5).toISOString()
    await hand('queue', {
      type: 'delivery.discarded',
      at: earlier,
      messageId: id(99),
      recipients: ['z@example.net'],
      by: 'op',
    })
    await hand('smtp', accepted(99, 'z@example.net'))
    const { trace } = (await api.send('GET', `/v1/messages/${id(99)}`)).json
    expect(trace.map(({ type }: { type: string }) => type)).toEqual(['message.accepted', 'delivery.discarded'])
  })
})
