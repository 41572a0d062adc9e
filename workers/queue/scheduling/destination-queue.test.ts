import { expect, test } from 'vitest'
import type { QueuedMessage } from '../message/message.ts'
import { DestinationQueue } from './destination-queue.ts'

test('within any minute no more than so many start, and as many at once as may', () => {
  const queue = new DestinationQueue({ queue: 'a.test', domain: 'a.test' } as never)
  for (let i = 0; i < 100; i++) queue.add({ mail: {} as QueuedMessage, recipients: [0], retry: false })
  const throttle = { connections: 100, perMinute: 4 }
  const takenAt = (now: number) => queue.take({ throttle, retries: true, now }) !== undefined
  const minute = 60_000
  const started: number[] = []
  for (let now = minute; now < 5 * minute; now += 500) if (takenAt(now)) started.push(now)
  expect(started.slice(0, 4)).toEqual([minute, minute + 500, minute + 1000, minute + 1500])
  const within = (from: number) => started.filter((at) => at >= from && at < from + minute).length
  for (const from of started.filter((at) => at < 4 * minute)) expect(within(from)).toBe(4)
  expect(queue.throttledSince(4 * minute)).toBe(true)
  expect(queue.throttledSince(5 * minute)).toBe(false)
})
