import { type WaitingCause, waitingCauseOf } from '@postern/contract/waiting-causes.ts'
import { beforeAll, expect, it } from 'vitest'
import { type Fixture, startFixture } from './test/fixture.ts'
import { queueManagerFor, waitingMessage } from './test/queue-manager.ts'

let api: Fixture
const id = (i: number) => `019a0000-0000-7000-8000-${String(i).padStart(12, '0')}`
const receivedAt = new Date(Date.now() - 3_600_000).toISOString()
const queue = queueManagerFor(() => api)

beforeAll(async () => {
  api = await startFixture()
})

type Deferred = { reply: string; cause: string; nextTryAt?: string; attempts?: number }

function deferred(address: string, { nextTryAt = later(10), reply, cause, attempts = 1 }: Deferred) {
  const waitingCause: WaitingCause = waitingCauseOf({ cause, reply })
  return { address, attempts, lastReply: reply, cause, waitingCause, nextTryAt: Date.parse(nextTryAt) }
}

type To = Parameters<typeof waitingMessage>[1][number]
const waits = (i: number, to: To[], change = {}) =>
  waitingMessage(id(i), to, { receivedAt: Date.parse(receivedAt), ...change })

const later = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString()
const doctor = async () => (await api.send('GET', '/v1/queue/doctor')).json.items
const refused = (reply: string) => ({ reply, cause: 'refused-for-now' })

it('returns nothing when no mail waits', async () => {
  expect(await doctor()).toEqual([])
})

it('groups replies that differ only in details, the largest group first', async () => {
  const nextTryAt = later(3)
  const isDown = { reply: 'mx.full.test[127.0.0.9]:25: ECONNREFUSED', cause: 'cannot-connect' }
  await queue.tell({
    waiting: [
      waits(1, [deferred('a@full.test', refused('452 4.2.2 <a@full.test>: mailbox full, ticket 1234'))]),
      waits(2, [
        deferred('b@full.test', refused('452 4.2.2 <b@full.test>: user is over quota (93 of 90 MB)')),
        deferred('c@full.test', { ...refused('452 4.2.2 <c@full.test>: mailbox full'), nextTryAt }),
      ]),
      waits(3, [deferred('d@full.test', isDown)]),
      waits(4, [deferred('e@grey.test', refused('450 4.2.0 Greylisted for 300 seconds'))]),
      waits(5, [deferred('f@grey.test', refused('451 4.7.1 Greylisted for 12 seconds'))]),
      waits(6, [{ address: 'g@new.test' }]),
    ],
  })
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
  await queue.tell(
    {
      waiting: [
        waits(4, [deferred('e@grey.test', { ...refused('451 4.3.0 queue file write error'), attempts: 2 })]),
        waits(3, [{ ...deferred('d@full.test', refused('450 busy')), nextTryAt: undefined }], {
          hold: 'owner@example.org: asked',
        }),
      ],
      gone: [id(5)],
    },
    { delivered: 1 },
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
  await queue.tell({ waiting: [waits(7, [deferred('h@odd.test', refused(reply))])] })
  const item = (await doctor()).find(({ destination }: { destination: string }) => destination === 'odd.test')
  expect(item).toMatchObject({ cause: 'refused-for-now', example: { messageId: id(7), reply } })
})
