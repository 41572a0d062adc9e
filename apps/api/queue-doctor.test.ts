import type { EventFields, PosternEvent } from '@postern/contract/events.ts'
import { beforeAll, expect, it } from 'vitest'
import { type Fixture, startFixture } from './test/fixture.ts'

let api: Fixture
const numbers = { smtp: 0, queue: 0 }
const id = (i: number) => `019a0000-0000-7000-8000-${String(i).padStart(12, '0')}`
const receivedAt = new Date(Date.now() - 3_600_000).toISOString()

beforeAll(async () => {
  api = await startFixture()
})

async function hand(service: 'smtp' | 'queue', ...bare: Omit<PosternEvent, 'n'>[]) {
  const events = bare.map((event) => ({ ...event, n: ++numbers[service] }))
  const answer = await api.send('POST', '/v1/worker/events', { token: await api.tokens[service](), body: { events } })
  expect(answer.status).toBe(200)
}

function accepted(i: number, ...addresses: string[]): Omit<PosternEvent, 'n'> {
  const recipients = addresses.map((address) => ({ address, original: address }))
  return {
    type: 'message.accepted',
    at: receivedAt,
    messageId: id(i),
    origin: 'smtp',
    sender: 'jane@example.org',
    recipients,
    size: 1_000,
    revision: 1,
    rules: [],
  } as Omit<PosternEvent, 'n'>
}

type Deferred = Pick<EventFields<'delivery.deferred'>, 'reply' | 'cause'> & { nextTryAt?: string }

function deferred(
  i: number,
  address: string,
  { nextTryAt = later(10), ...attempt }: Deferred,
): Omit<PosternEvent, 'n'> {
  const remote = { host: 'mx.example.net', address: '127.0.0.9', port: 25 }
  return {
    type: 'delivery.deferred',
    at: new Date().toISOString(),
    messageId: id(i),
    attempt: 1,
    recipients: [address],
    remote,
    durationMs: 3,
    nextTryAt,
    ...attempt,
  } as Omit<PosternEvent, 'n'>
}

const later = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString()
const doctor = async () => (await api.send('GET', '/v1/queue/doctor')).json.items
const refused = (reply: string) => ({ reply, cause: 'refused-for-now' })

it('returns nothing when no mail waits', async () => {
  expect(await doctor()).toEqual([])
})

it('groups replies that differ only in details, the largest group first', async () => {
  const nextTryAt = later(3)
  await hand(
    'smtp',
    accepted(1, 'a@full.test'),
    accepted(2, 'b@full.test', 'c@full.test'),
    accepted(3, 'd@full.test'),
    accepted(4, 'e@grey.test'),
    accepted(5, 'f@grey.test'),
    accepted(6, 'g@new.test'),
  )
  await hand(
    'queue',
    deferred(1, 'a@full.test', refused('452 4.2.2 <a@full.test>: mailbox full, ticket 1234')),
    deferred(2, 'b@full.test', refused('452 4.2.2 <b@full.test>: user is over quota (93 of 90 MB)')),
    deferred(2, 'c@full.test', { ...refused('452 4.2.2 <c@full.test>: mailbox full'), nextTryAt }),
    deferred(3, 'd@full.test', { reply: 'mx.full.test[127.0.0.9]:25: ECONNREFUSED', cause: 'cannot-connect' }),
    deferred(4, 'e@grey.test', refused('450 4.2.0 Greylisted for 300 seconds')),
    deferred(5, 'f@grey.test', refused('451 4.7.1 Greylisted for 12 seconds')),
  )
  const items = await doctor()
  expect(
    items.map(({ destination, cause, messages, recipients }: Record<string, unknown>) => [
      destination,
      cause,
      messages,
      recipients,
    ]),
  ).toEqual([
    ['full.test', 'mailbox-full', 2, 3],
    ['grey.test', 'greylisted', 2, 2],
    ['full.test', 'host-down', 1, 1],
    ['new.test', 'not-tried', 1, 1],
  ])
  expect(items[0]).toMatchObject({
    title: 'Mailbox full',
    oldestReceivedAt: receivedAt,
    nextTryAt,
    explanation: expect.stringContaining('over its quota'),
    nextAction: expect.stringContaining('after 20 attempts or 120 hours'),
    example: { messageId: id(2), reply: expect.stringContaining('452 4.2.2') },
  })
  expect(items[3]).not.toHaveProperty('nextTryAt')
  expect((await api.send('GET', '/v1/queue/summary')).json.topCauses).toEqual([
    { cause: 'greylisted', messages: 2 },
    { cause: 'mailbox-full', messages: 2 },
    { cause: 'host-down', messages: 1 },
  ])
})

it('returns the filter for the messages of a group, for the queue and for actions', async () => {
  for (const { filter, messages } of await doctor()) {
    const found = (await api.send('GET', `/v1/queue?${new URLSearchParams(filter)}`)).json.items
    expect(found).toHaveLength(messages)
    const dry = await api.send('POST', '/v1/queue/actions', { body: { action: 'retry', filter, dryRun: true } })
    expect(dry.json.matched).toBe(messages)
  }
})

it('follows later changes: another cause, an outcome, a hold', async () => {
  await api.send('PATCH', '/v1/settings/queue', { body: { maxQueueHours: 48 } })
  await hand(
    'queue',
    { ...deferred(4, 'e@grey.test', refused('451 4.3.0 queue file write error')), attempt: 2 } as Omit<
      PosternEvent,
      'n'
    >,
    {
      type: 'delivery.delivered',
      at: new Date().toISOString(),
      messageId: id(5),
      attempt: 2,
      recipients: ['f@grey.test'],
      remote: { host: 'mx.grey.test', address: '127.0.0.9', port: 25 },
      reply: '250 ok',
      durationMs: 2,
    } as Omit<PosternEvent, 'n'>,
    {
      type: 'message.held',
      at: new Date().toISOString(),
      messageId: id(3),
      by: 'owner@example.org',
      reason: 'asked',
    } as Omit<PosternEvent, 'n'>,
  )
  const items = await doctor()
  expect(items.map(({ destination, cause }: Record<string, unknown>) => [destination, cause])).toEqual([
    ['full.test', 'mailbox-full'],
    ['full.test', 'held'],
    ['grey.test', 'remote-trouble'],
    ['new.test', 'not-tried'],
  ])
  expect(items[0].nextAction).toContain('48 hours')
  expect(items[1]).toMatchObject({ example: { messageId: id(3), reply: 'owner@example.org: asked' } })
  expect(items[1]).not.toHaveProperty('nextTryAt')
})

it('the reply of a remote server stays text', async () => {
  const reply = `451 '; drop table messages; -- <script>alert(1)</script> \u202e ${'%_'.repeat(50)}`
  await hand('smtp', accepted(7, 'h@odd.test'))
  await hand('queue', deferred(7, 'h@odd.test', refused(reply)))
  const item = (await doctor()).find(({ destination }: { destination: string }) => destination === 'odd.test')
  expect(item).toMatchObject({ cause: 'refused-for-now', example: { messageId: id(7), reply } })
})
