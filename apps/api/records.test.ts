import type { PosternEvent } from '@postern/contract/events.ts'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { createApp } from './app.ts'
import { type Fixture, startFixture } from './test/fixture.ts'
import { queueManagerFor, waitingMessage } from './test/queue-manager.ts'

let api: Fixture
beforeAll(async () => {
  api = await startFixture()
})

const id = (i: number) => `019a0000-0000-7000-8000-${String(i).padStart(12, '0')}`
const at = new Date().toISOString()
const remote = { host: 'mx.example.net', address: '127.0.0.9', port: 25 }

type Bare = PosternEvent extends infer E
  ? E extends PosternEvent
    ? Omit<E, 'n' | 'at'> & { at?: string }
    : never
  : never

async function hand(service: 'smtp' | 'queue', ...bare: Bare[]) {
  const answer = await api.sendEvents(
    await api.tokens[service](),
    bare.map((event) => ({ at, ...event })),
  )
  expect(answer.status).toBe(200)
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

const queue = queueManagerFor(() => api)
const greylisted = {
  attempts: 1,
  lastReply: '451 4.7.1 greylisted, come back',
  cause: 'greylisted',
  waitingCause: 'greylisted' as const,
}

describe('messages and the queue', () => {
  it('show what the Queue Manager tells', async () => {
    await hand('queue', { type: 'delivery.delivered', ...attempt(1, 'a@example.net') })
    await hand(
      'smtp',
      accepted(1, 'a@example.net', 'b@example.com'),
      accepted(2, 'c@example.com'),
      accepted(3, 'd@example.com'),
    )
    await hand('queue', deferred(1, 'b@example.com'))
    expect((await books()).total).toMatchObject({ received: 0, balance: 0 })
    const nextTryAt = Date.now() + 60_000
    await queue.tell(
      {
        waiting: [
          waitingMessage(id(1), [{ address: 'b@example.com', ...greylisted, nextTryAt }]),
          waitingMessage(id(2), [{ address: 'c@example.com' }], { hold: 'owner@example.org' }),
          waitingMessage(id(3), [{ address: 'd@example.com' }]),
        ],
      },
      { delivered: 1 },
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

  it('show of a message its rows and its trace, and only its trace when it is finished', async () => {
    const waits = (await api.send('GET', `/v1/messages/${id(1)}`)).json
    expect(waits).toMatchObject({ state: 'deferred', subject: 'Quarterly figures' })
    expect(waits.recipients).toMatchObject([
      { address: 'a@example.net', outcome: 'delivered' },
      { address: 'b@example.com', outcome: 'waiting', attempts: 1, nextTryAt: expect.any(String) },
    ])
    await hand('queue', { type: 'delivery.delivered', ...attempt(1, 'b@example.com') })
    await queue.tell({ gone: [id(1)] }, { delivered: 1 })
    expect((await books()).total).toMatchObject({ received: 4, delivered: 2, queued: 2, balance: 0 })
    const message = (await api.send('GET', `/v1/messages/${id(1)}`)).json
    expect(message).toMatchObject({
      state: 'finished',
      sender: 'jane@example.org',
      subject: 'Quarterly figures',
      client: { ip: '192.0.2.7' },
    })
    expect(message.attempts.map(({ outcome }: { outcome: string }) => outcome)).toContain('deferred')
    expect(message.trace.length).toBe(4)
  })

  it('show a message whose log is lost, and one that has no row yet', async () => {
    await queue.tell({ waiting: [waitingMessage(id(70), [{ address: 'x@example.org', ...greylisted }])] })
    const lost = await api.send('GET', `/v1/messages/${id(70)}`)
    expect(lost.json).toMatchObject({ state: 'deferred', recipients: [{ outcome: 'waiting' }], trace: [] })
    expect((await api.send('POST', `/v1/messages/${id(70)}/retry`)).status).toBe(202)
    await queue.tell({ gone: [id(70)] }, { discarded: 1 })
    await hand('smtp', accepted(71, 'y@example.org'))
    expect((await api.send('GET', `/v1/messages/${id(71)}`)).json).toMatchObject({ state: 'active' })
    expect((await api.send('POST', `/v1/messages/${id(71)}/hold`)).status).toBe(202)
  })

  it('come back when the Queue Manager is asked to tell everything', async () => {
    await api.parts.records.run(`delete from waiting_messages`)
    expect((await api.send('GET', '/v1/queue')).json.items).toEqual([])
    const asked = await api.send('POST', '/v1/queue/reconcile', { token: await api.tokens.operator() })
    expect(asked.status).toBe(202)
    expect(await queue.tell()).toBe(409)
    expect((await api.send('GET', '/v1/queue')).json.items).toHaveLength(2)
    expect((await api.send('GET', '/v1/audit?limit=1')).json.items[0]).toMatchObject({ action: 'queue.reconcile' })
    const viewer = await api.send('POST', '/v1/queue/reconcile', { token: await api.tokens.viewer() })
    expect(viewer.status).toBe(403)
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
  it('are acknowledged only when the log store has them', async () => {
    const token = await api.tokens.smtp()
    const event = { n: 1, at, type: 'worker.stopped', service: 'smtp', cause: 'test' }
    const batch = { log: 'ffffffffffff', after: 0, first: 1, last: 1, text: `${JSON.stringify(event)}\n` }
    const { append } = api.parts.eventStore
    api.parts.eventStore.append = async () => {
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    }
    expect((await api.sendBatch(token, batch)).status).toBe(503)
    api.parts.eventStore.append = append
    expect((await api.send('GET', '/v1/worker/events?log=ffffffffffff', { token })).json).toEqual({ acknowledged: 0 })
    expect((await api.sendBatch(token, batch)).json).toEqual({ acknowledged: 1 })
    // A batch after a gap is not stored: the answer says where to go on.
    expect((await api.sendBatch(token, { ...batch, after: 5, first: 6, last: 6 })).json).toEqual({ acknowledged: 1 })
    for (const numbers of [
      { after: 1, first: 1, last: 1 },
      { after: 1, first: 3, last: 2 },
      { after: 1, first: 2, last: 9_000 },
      { after: 0, first: 900_000_000, last: 900_000_000 },
    ])
      expect([numbers, (await api.sendBatch(token, { ...batch, ...numbers })).status]).toEqual([numbers, 422])
  })

  it('of unknown types are kept as they came', async () => {
    const risen = { at, type: 'moon.rose', how: 'slowly' }
    expect((await api.sendEvents(await api.tokens.smtp(), [risen])).status).toBe(200)
    const { items } = (await api.send('GET', '/v1/events?q=slowly')).json
    expect(items).toMatchObject([{ type: 'moon.rose', how: 'slowly', text: 'an event of a newer version' }])
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
    const ids = [...first.items, ...next.items].map(({ id }: { id: string }) => id)
    expect(new Set(ids).size).toBe(6)
  })

  it('can be counted by a column, also over time', async () => {
    const top = (await api.send('GET', '/v1/events/top?by=domain&type=message.accepted')).json
    expect(top).toMatchObject({
      items: [
        { value: 'example.com', count: 3 },
        { value: 'example.net', count: 1 },
        { value: 'example.org', count: 1 },
      ],
      complete: true,
    })
    expect((await api.send('GET', '/v1/events/top?by=fields')).status).toBe(422)
    const series = (await api.send('GET', '/v1/events/series?by=type&type=delivery.&stepMinutes=1440')).json
    expect(series.items).toContainEqual({
      at: `${at.slice(0, 10)}T00:00:00.000Z`,
      value: 'delivery.deferred',
      count: 1,
    })
  })

  it('can be filtered by address, client and reply', async () => {
    const count = async (query: string) => (await api.send('GET', `/v1/events?${query}`)).json.items.length
    expect(await count('recipient=C@example.com')).toBe(1)
    expect(await count('client=192.0.2.0/24&type=message.accepted')).toBe(4)
    expect(await count('client=192.0.2.8')).toBe(0)
    expect(await count('code=4.7.1')).toBe(1)
    expect(await count('code=451')).toBe(1)
    for (const query of ['client=nobody', 'code=9', 'level=off', `message=${id(1)}x`, 'since=yesterday'])
      expect([query, (await api.send('GET', `/v1/events?${query}`)).status]).toEqual([query, 422])
  })

  it.each([
    ['ndjson', 'application/x-ndjson', (text: string) => text.trim().split('\n').length],
    ['csv', 'text/csv', (text: string) => text.trim().split('\n').length - 1],
  ])('can be downloaded as %s', async (format, type, count) => {
    const { text, headers } = await api.send('GET', `/v1/events/export?format=${format}&type=message.accepted`)
    expect(headers.get('content-type')).toContain(type)
    expect(headers.get('content-disposition')).toMatch(/^attachment; filename="postern-events-[0-9T-]+\.(ndjson|csv)"$/)
    expect(count(text)).toBe(4)
  })

  it('stream as they come and resume after Last-Event-ID', async () => {
    const follow = async (lastEventId?: string, app = api.app) => {
      const abort = new AbortController()
      const headers = {
        authorization: `Bearer ${await api.tokens.viewer()}`,
        ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
      }
      const response = await app.request('/v1/events/stream?type=message.', { headers, signal: abort.signal })
      expect(response.headers.get('content-type')).toBe('text/event-stream')
      const reader = (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader()
      let seen = ''
      const until = async (text: string) => {
        while (!seen.includes(text)) seen += (await reader.read()).value ?? ''
        return seen
      }
      return { until, end: () => abort.abort() }
    }
    const first = await follow()
    await first.until('follow')
    await hand('queue', { type: 'delivery.discarded', messageId: id(50), recipients: ['live@example.com'], by: 'op' })
    await hand('smtp', accepted(50, 'live@example.com'))
    const seen = await first.until('live@example.com')
    first.end()
    expect(seen).not.toContain('event: delivery')
    const [, last] = /id: (\S+)\nevent: message\.accepted\ndata: \{/.exec(seen) ?? []
    await hand('smtp', accepted(51, 'missed@example.com'))
    const second = await follow(last)
    expect(await second.until('missed@example.com')).not.toContain('live@example.com')
    second.end()
    // Another process does not have them in memory. The log has them.
    const third = await follow(last, createApp({ ...api.parts }))
    expect(await third.until('missed@example.com')).not.toContain('live@example.com')
    third.end()
    expect((await api.send('GET', '/v1/events/stream', { headers: { 'last-event-id': '12' } })).status).toBe(422)
  })

  it('give a time series', async () => {
    const { points } = (await api.send('GET', '/v1/stats?stepMinutes=60')).json
    expect(points).toContainEqual(expect.objectContaining({ received: 5, delivered: 2, discarded: 1 }))
    expect((await api.send('GET', '/v1/stats?since=2020-01-01T00:00:00Z&stepMinutes=1')).status).toBe(422)
  })
})

describe('messages', () => {
  const find = async (query: string) => (await api.send('GET', `/v1/messages?${query}`)).json

  it('can be searched, waiting and finished', async () => {
    expect(await find('recipient=a@example.net')).toMatchObject({
      items: [
        {
          id: id(1),
          receivedAt: at,
          sender: 'jane@example.org',
          recipients: ['a@example.net', 'b@example.com'],
          subject: 'Quarterly figures',
          outcome: 'delivered',
          lastReply: '250 ok',
          size: 1234,
          client: '192.0.2.7',
        },
      ],
      nextCursor: null,
      complete: true,
    })
    const ids = async (query: string) => (await find(query)).items.map(({ id }: { id: string }) => id).sort()
    expect(await ids('outcome=waiting&sender=jane@example.org')).toEqual([id(2), id(3), id(51), id(71)])
    expect(await ids('outcome=discarded')).toEqual([id(50)])
    expect(await ids('subject=quarterly&client=192.0.2.7&outcome=delivered')).toEqual([id(1)])
    const first = await find('limit=2')
    const second = await find(`limit=10&cursor=${first.nextCursor}`)
    expect(new Set([...first.items, ...second.items].map(({ id }: { id: string }) => id)).size).toBe(6)
  })
})

describe('a message', () => {
  it('that was deferred and then deleted by an operator is finished', async () => {
    await hand('smtp', accepted(70, 'gone@example.net'))
    await hand('queue', deferred(70, 'gone@example.net'))
    await hand('queue', { type: 'delivery.discarded', messageId: id(70), recipients: ['gone@example.net'], by: 'op' })
    expect((await api.send('GET', `/v1/messages/${id(70)}`)).json).toMatchObject({
      state: 'finished',
      recipients: [{ outcome: 'discarded', attempts: 1, lastReply: 'discarded by op' }],
    })
  })

  it('that ends while it is read is shown as waiting or as finished, not as both', async () => {
    await queue.tell({ waiting: [waitingMessage(id(72), [{ address: 'z@example.org', ...greylisted }])] })
    await hand('smtp', accepted(72, 'z@example.org'))
    await hand('queue', deferred(72, 'z@example.org'))
    const { trace } = api.parts.eventStore
    const ends = vi.spyOn(api.parts.eventStore, 'trace').mockImplementation(async (asked) => {
      await hand('queue', { type: 'delivery.delivered', ...attempt(72, 'z@example.org'), attempt: 2 })
      await queue.tell({ gone: [id(72)] }, { delivered: 1 })
      return trace.call(api.parts.eventStore, asked)
    })
    const seen = (await api.send('GET', `/v1/messages/${id(72)}`)).json
    ends.mockRestore()
    expect(seen).toMatchObject({ state: 'deferred', recipients: [{ outcome: 'waiting' }] })
    const then = (await api.send('GET', `/v1/messages/${id(72)}`)).json
    expect(then).toMatchObject({ state: 'finished', recipients: [{ outcome: 'delivered' }] })
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
