import { afterEach, beforeEach, expect, it } from 'vitest'
import type { MessageFilter } from './messages.ts'
import { accepted, attempt, batchOf, idAt, logId, openTestLog, type TestLog, ten } from './test/events.ts'

const hour = 3_600_000
const verdict = {
  stage: 'rcpt',
  rule: 'blockList',
  reason: 'blocked',
  revision: 119,
  reply: '554 5.7.1 No',
  explanation: [],
  trail: [],
}
const two = ['bob@example.net', 'Carol@example.com'].map((address) => ({ address, original: address }))

let test: TestLog
beforeEach(async () => {
  test = await openTestLog()
  await test.log.append(
    batchOf([
      accepted(1, ten, { subject: 'On Tuesday' }),
      accepted(2, ten + 1, { recipients: two }),
      accepted(3, ten + 2, { recipients: two, sender: '' }),
      accepted(4, ten + 3, { log: false }),
      accepted(5, ten + 4, { client: { ip: '203.0.113.9' } }),
      {
        n: 6,
        at: ten + 5,
        type: 'message.refused',
        client: { ip: '203.0.113.9' },
        sender: 'eve@example.org',
        recipients: ['bob@example.net'],
        size: 99,
        verdict,
      },
      {
        n: 7,
        at: ten + 6,
        type: 'command.refused',
        client: { ip: '203.0.113.9' },
        recipient: 'bob@example.net',
        verdict,
      },
      { n: 8, at: ten + 7, type: 'session.refused', client: { ip: '203.0.113.9' }, verdict },
    ]),
  )
  const id = (n: number) => idAt(ten + n - 1, n)
  const worker = { worker: 'queue-1' }
  await test.log.append(
    batchOf(
      [
        attempt(1, ten + 100, { messageId: id(1) }),
        attempt(2, ten + 101, {
          messageId: id(2),
          type: 'delivery.deferred',
          recipients: ['bob@example.net', 'carol@example.com'],
          reply: '450 later',
        }),
        attempt(3, ten + 102, { messageId: id(3), recipients: ['bob@example.net'] }),
        attempt(4, ten + 103, { messageId: id(5), type: 'delivery.discarded', reply: undefined, by: 'rule' }),
      ],
      worker,
    ),
  )
  await test.log.append(
    batchOf(
      [
        attempt(5, ten + 30 * hour, { messageId: id(2), recipients: ['bob@example.net'] }),
        attempt(6, ten + 30 * hour + 1, {
          messageId: id(2),
          type: 'delivery.bounced',
          recipients: ['carol@example.com'],
          reply: '550 no',
        }),
      ],
      worker,
    ),
  )
})
afterEach(() => test.end())

const find = async (filter: MessageFilter = {}) => (await test.log.messages({ ...filter, limit: 50 })).items
const outcomes = async (filter: MessageFilter = {}) =>
  (await find(filter)).map(({ receivedAt, outcome }) => `${receivedAt - ten + 1} ${outcome}`)

it('says what became of each message, newest first', async () => {
  expect(await outcomes()).toEqual([
    '8 refused',
    '7 refused',
    '6 refused',
    '5 discarded',
    '4 waiting',
    '3 waiting',
    '2 bounced',
    '1 delivered',
  ])
  const [, command, message, , , , bounced, delivered] = await find()
  expect(command).toEqual({
    id: `smtp-1:${logId}:7`,
    receivedAt: ten + 6,
    recipients: ['bob@example.net'],
    outcome: 'refused',
    lastReply: '554 5.7.1 No',
    client: '203.0.113.9',
  })
  expect(message).toMatchObject({ sender: 'eve@example.org', size: 99 })
  expect(bounced).toMatchObject({ recipients: ['bob@example.net', 'Carol@example.com'], lastReply: '550 no' })
  expect(delivered).toEqual({
    id: idAt(ten, 1),
    receivedAt: ten,
    sender: 'alice@example.org',
    recipients: ['bob@example.net'],
    subject: 'On Tuesday',
    outcome: 'delivered',
    lastReply: '250 2.0.0 Ok: queued as 4XyZ',
    size: 1_234,
    client: '192.0.2.7',
  })
})

const cases: [MessageFilter, string[]][] = [
  [{ outcome: 'waiting' }, ['4 waiting', '3 waiting']],
  [{ outcome: 'bounced' }, ['2 bounced']],
  [{ outcome: 'delivered' }, ['1 delivered']],
  [{ outcome: 'discarded' }, ['5 discarded']],
  [{ outcome: 'refused' }, ['8 refused', '7 refused', '6 refused']],
  [{ subject: 'TUESDAY' }, ['1 delivered']],
  [{ q: 'on tuesday' }, ['1 delivered']],
  [{ sender: '' }, ['3 waiting']],
  [{ recipient: 'carol@example.com' }, ['3 waiting', '2 bounced']],
  [{ client: '203.0.113.0/24', outcome: 'discarded' }, ['5 discarded']],
  [{ since: ten + 1, until: ten + 3 }, ['3 waiting', '2 bounced']],
  [{ sender: 'alice@example.org', recipient: 'nobody@example.net' }, []],
]
it.each(cases)('%j', async (filter, expected) => {
  expect(await outcomes(filter)).toEqual(expected)
})

it('pages by position', async () => {
  for (const outcome of [undefined, 'waiting', 'refused'] as const) {
    const all = await find({ outcome })
    const found = []
    for (
      let page = await test.log.messages({ limit: 1, outcome });
      ;
      page = await test.log.messages({ limit: 1, outcome, before: page.next })
    ) {
      found.push(...page.items)
      expect(page.complete).toBe(page.next === undefined)
      if (!page.next) break
    }
    expect(found).toEqual(all)
  }
})

it('answers what it has when the deadline comes', async () => {
  const page = await test.log.messages({ limit: 9, deadlineMs: 0 })
  expect(page).toMatchObject({ items: [], complete: false })
  expect((await test.log.messages({ limit: 9, before: page.next })).items).toHaveLength(8)
})
