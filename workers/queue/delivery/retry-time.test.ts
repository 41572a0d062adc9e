import { queueSchema } from '@postern/contract/settings/queue.ts'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { delayWarningDue, nextTry } from './retry-time.ts'

const minute = 60_000
const settings = (change: object = {}) => queueSchema.parse(change)

test('exponential doubles from the timer to the longest pause', () => {
  const pauses = [1, 2, 3, 4, 5, 19].map((tries) => {
    const next = nextTry({ tries, firstAt: 0, now: 1000, settings: settings() })
    return next.kind === 'retry' ? (next.at - 1000) / minute : next
  })
  expect(pauses).toEqual([30, 60, 120, 240, 240, 240])
})

test('constant tries everything at the same tick', () => {
  const ticks = [1, 7 * minute, 29 * minute].map((now) =>
    nextTry({ tries: 3, firstAt: 0, now, settings: settings({ retryBackoff: 'constant' }) }),
  )
  expect(new Set(ticks.map((next) => JSON.stringify(next)))).toEqual(
    new Set([JSON.stringify({ kind: 'retry', at: 30 * minute })]),
  )
})

test('tries or age end it, whichever comes first', () => {
  const change = { triesBeforeReturn: 3, maxQueueHours: 1 }
  expect(nextTry({ tries: 3, firstAt: 0, now: 1, settings: settings(change) })).toEqual({
    kind: 'return',
    because: 'tries',
  })
  expect(nextTry({ tries: 1, firstAt: 0, now: 60 * minute, settings: settings(change) })).toEqual({
    kind: 'return',
    because: 'age',
  })
  expect(nextTry({ tries: 1, firstAt: 0, now: 50 * minute, settings: settings(change) })).toEqual({
    kind: 'retry',
    at: 60 * minute,
  })
})

test('for all settings: in the future, never past the end, and it ends', () => {
  const given = fc.record({
    timer: fc.integer({ min: 1, max: 1440 }),
    longest: fc.integer({ min: 1, max: 1440 }),
    limit: fc.integer({ min: 1, max: 100 }),
    hours: fc.integer({ min: 1, max: 336 }),
    constant: fc.boolean(),
    jitter: fc.double({ min: 0, max: 1, noNaN: true }),
    firstAt: fc.integer({ min: 0, max: 2 ** 42 }),
  })
  fc.assert(
    fc.property(given, (g) => {
      const chosen = settings({
        retryTimerMinutes: g.timer,
        retryMaxMinutes: g.longest,
        triesBeforeReturn: g.limit,
        maxQueueHours: g.hours,
        retryBackoff: g.constant ? 'constant' : 'exponential',
      })
      let now = g.firstAt
      for (let tries = 1; tries <= 101; tries++) {
        const next = nextTry({ tries, firstAt: g.firstAt, now, settings: chosen, jitter: g.jitter })
        if (next.kind === 'return') return tries <= g.limit
        if (next.at <= now || next.at > g.firstAt + g.hours * 60 * minute) return false
        now = next.at
      }
      return false
    }),
  )
})

test('the delay warning', () => {
  expect(delayWarningDue({ firstAt: 0, now: 4 * 60 * minute, delayWarningHours: 4 })).toBe(true)
  expect(delayWarningDue({ firstAt: 0, now: 4 * 60 * minute - 1, delayWarningHours: 4 })).toBe(false)
  expect(delayWarningDue({ firstAt: 0, now: 1e12, delayWarningHours: 0 })).toBe(false)
})
