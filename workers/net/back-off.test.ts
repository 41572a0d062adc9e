import { expect, test } from 'vitest'
import { BackOff } from './back-off.ts'

test('pauses double up to the limit and start anew after a success', () => {
  const backOff = new BackOff({ firstMs: 200, longestMs: 1000 })
  expect([1, 2, 3, 4, 5].map(() => backOff.next())).toEqual([200, 400, 800, 1000, 1000])
  backOff.reset()
  expect(backOff.next()).toBe(200)
})
