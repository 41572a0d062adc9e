import { expect, test } from 'vitest'
import { BackOff, pauseAfter } from './back-off.ts'

test('pauses double up to the limit and start anew after a success', () => {
  const backOff = new BackOff({ firstMs: 200, longestMs: 1000 })
  expect([1, 2, 3, 4, 5].map(() => backOff.next())).toEqual([200, 400, 800, 1000, 1000])
  backOff.reset()
  expect(backOff.next()).toBe(200)
})

test('a pause is a number, whatever the count', () => {
  expect([1, 2, 5000].map((failures) => pauseAfter(failures, { firstMs: 1, longestMs: 1e12 }))).toEqual([1, 2, 2 ** 30])
})
