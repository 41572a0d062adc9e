import type { QueueDoctorItem } from '@postern/contract/views.ts'
import { type WaitingCause, waitingCauses } from '@postern/contract/waiting-causes.ts'
import { expect, test } from 'vitest'
import { ofTraffic, ofWaiting } from './incidents.ts'

const now = Date.parse('2026-01-02T12:00:00Z')

function waits(destination: string, cause: WaitingCause, messages: number, reply = '451 4.3.0 later'): QueueDoctorItem {
  return {
    destination,
    cause,
    title: waitingCauses[cause].title,
    messages,
    recipients: messages,
    oldestReceivedAt: '2026-01-02T09:00:00Z',
    explanation: waitingCauses[cause].explanation,
    nextAction: '',
    example: { messageId: 'x', reply },
    filter: { domain: destination, cause },
  }
}
const titles = (items: QueueDoctorItem[]) => ofWaiting(items, now).map(({ severity, title }) => `${severity}: ${title}`)

test('a destination with many waiting messages, with the cause, the last reply and the filter that finds them', () => {
  const [found] = ofWaiting([waits('acme.test', 'mailbox-full', 1100, '452 4.2.2 over quota')], now)
  expect(found).toEqual({
    severity: 'warn',
    title: '1,100 messages for acme.test: Mailbox full',
    detail: 'The oldest has waited 3 h. Last reply: 452 4.2.2 over quota',
    to: '/queue',
    search: { domain: 'acme.test', cause: 'mailbox-full' },
  })
})

test('few messages, held ones and those not tried yet are no incident', () => {
  expect(
    titles([waits('a.test', 'host-down', 99), waits('b.test', 'held', 5000), waits('c.test', 'not-tried', 5000)]),
  ).toEqual([])
})

test('a reply about our own address counts from the first message, and once for all destinations', () => {
  const items = ['a.test', 'b.test', 'c.test', 'd.test'].map((name) => waits(name, 'reputation', 3))
  expect(titles([...items, waits('a.test', 'reverse-dns', 1)])).toEqual([
    'danger: Our address has a bad reputation: 12 messages for a.test, b.test, c.test and 1 other destination',
    'danger: Our address has no valid reverse DNS name: 1 message for a.test',
  ])
  expect(ofWaiting(items, now)[0]?.search).toEqual({ cause: 'reputation' })
})

test('of many failing destinations the largest are named, and the others counted', () => {
  const items = Array.from({ length: 8 }, (_, i) => waits(`${i}.test`, 'host-down', 1000 - i))
  expect(titles(items).at(-1)).toBe('warn: 2,982 messages for 3 other destinations')
  expect(titles(items)).toHaveLength(6)
})

test("a remote server's text cannot hide what it is", () => {
  const [found] = ofWaiting([waits('a.test', 'host-down', 100, '451 \u202eevil\u0007')], now)
  expect(found?.detail).not.toMatch(/[\u202e\u0007]/)
})

/** The day before has `usual` an hour, the last hour `recent`. */
function day(usual: number, recent: number, key: 'refused' | 'loginFailures') {
  const quarter = (minutesAgo: number, n: number) => ({
    at: new Date(now - minutesAgo * 60_000).toISOString(),
    refused: 0,
    loginFailures: 0,
    [key]: n,
  })
  return [
    ...Array.from({ length: 23 }, (_, i) => quarter(23 * 60 - i * 60 + 60, usual)),
    quarter(45, recent - 1),
    quarter(0, 1),
  ]
}

test.each([
  ['loginFailures', 40, 10_800, '10,800 failed logins in the last hour', 'The average was 40 failed logins an hour'],
  ['loginFailures', 0, 100, '100 failed logins in the last hour', 'There were almost none'],
  ['refused', 1000, 27_000, '27,000 refusals in the last hour', 'The average was 1,000 refusals an hour'],
] as const)('a burst of %s: %i an hour, then %i', (key, usual, recent, title, detail) => {
  const found = ofTraffic(day(usual, recent, key), now)
  expect(found).toMatchObject([{ severity: 'warn', title, to: '/events', search: { range: 'hour' } }])
  expect(found[0]?.detail).toContain(detail)
})

test.each([
  ['fewer than 100', 0, 99],
  ['less than five times the average', 1000, 4900],
])('no burst: %s', (_, usual, recent) => {
  expect(ofTraffic(day(usual, recent, 'refused'), now)).toEqual([])
})
