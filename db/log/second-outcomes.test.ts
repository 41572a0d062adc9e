import { afterEach, beforeEach, expect, it } from 'vitest'
import { attempt, batchOf, idAt, openTestLog, type TestLog, ten } from './test/events.ts'

let test: TestLog
beforeEach(async () => {
  test = await openTestLog()
})
afterEach(() => test.end())

it('names recipients with outcomes from two workers, whichever came second', async () => {
  const messageId = idAt(ten, 1)
  const both = ['bob@example.net', 'carol@example.net']
  const first = [
    attempt(1, ten + 5, { messageId, recipients: both }),
    // A worker that was killed tells it again. That is no second delivery.
    attempt(2, ten + 6, { messageId, recipients: both }),
    attempt(3, ten + 7, { type: 'delivery.deferred' }),
  ]
  const second = [
    attempt(1, ten + 90, { messageId, recipients: ['carol@example.net'] }),
    attempt(2, ten + 91, { messageId, type: 'delivery.bounced', recipients: ['bob@example.net'] }),
    attempt(3, ten + 92, { type: 'delivery.deferred' }),
  ]
  await test.log.append(batchOf(first, { worker: 'queue-2' }))
  expect(await test.log.secondOutcomes(ten)).toEqual([])
  await test.log.append(batchOf(second, { worker: 'queue-1' }))
  const expected = [{ worker: 'queue-1', messages: [{ messageId, recipients: both }] }]
  expect(await test.log.secondOutcomes(ten)).toEqual(expected)
  expect(await test.log.compact()).toMatchObject({ hours: [ten] })
  expect(await test.log.secondOutcomes(ten)).toEqual(expected)
  expect(await test.log.secondOutcomes(ten - 3_600_000)).toEqual([])
})
