import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type ClockReading, QueueClock, resumeClock } from './queue-clock.ts'

const second = 1000
const hour = 3_600 * second
const year = 365 * 24 * hour
const jumps = [
  ['an hour forward', hour],
  ['an hour back', -hour],
  ['a year forward', year],
  ['a year back', -year],
] as const

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'], now: Date.parse('2026-11-30T12:00:00Z') })
})
afterEach(() => {
  vi.useRealTimers()
})

const pass = (ms: number) => vi.advanceTimersByTime(ms)
const setBy = (ms: number) => vi.setSystemTime(Date.now() + ms)

function clockFrom(last?: ClockReading) {
  const told: number[] = []
  const clock = new QueueClock(resumeClock(last, Date.now()), (ms) => told.push(ms))
  clock.start()
  return { clock, told }
}

test.each(jumps)('%s: it goes on as if nothing had happened, and tells once', (_, by) => {
  const { clock, told } = clockFrom()
  const before = clock.reading()
  pass(5 * second)
  setBy(by)
  clock.look()
  clock.look()
  expect(told).toEqual([by])
  pass(5 * second)
  expect(clock.now() - before.now).toBe(10 * second)
  expect(clock.waited() - before.waited).toBe(10 * second)
  // What is shown is by the machine's clock.
  expect(clock.wallAt(clock.now() + hour)).toBe(Date.now() + hour)
  setBy(-by)
  clock.look()
  expect(told).toEqual([by, -by])
  expect(clock.now() - before.now).toBe(10 * second)
})

test('an adjustment by a time server is no jump', () => {
  const { clock, told } = clockFrom()
  for (const step of [2, -2, 30, -30]) {
    setBy(step * second)
    clock.look()
  }
  for (let step = 0; step < 100; step++) {
    setBy(second)
    clock.look()
  }
  expect(told).toEqual([])
})

test.each(jumps)('%s: a message received before and taken over after is as old as it is', (_, by) => {
  const { clock } = clockFrom()
  pass(10 * hour)
  const receivedAt = Date.now()
  pass(20)
  setBy(by)
  expect(clock.waited() - clock.waitedAt(receivedAt)).toBe(20)
  const afterwards = Date.now()
  pass(3 * hour)
  expect(clock.waited() - clock.waitedAt(afterwards)).toBe(3 * hour)
  // Another process may have received it by a clock that nobody here has seen.
  expect(clock.waitedAt(Date.now() + 2 * hour)).toBeLessThanOrEqual(clock.waited())
})

test.each(jumps)('%s and back again: messages of before, between and after are as old as they are', (_, by) => {
  const { clock } = clockFrom()
  const received: number[] = []
  for (const step of [by, -by, by]) {
    pass(600 * second)
    received.push(Date.now())
    pass(600 * second)
    setBy(step)
    clock.look()
  }
  expect(received.map((at) => clock.waited() - clock.waitedAt(at))).toEqual([3000, 1800, 600].map((s) => s * second))
})

test('what waited before the process started is that old, and the time in which nothing ran does not count', () => {
  const { clock } = clockFrom()
  expect(clock.waited() - clock.waitedAt(Date.now() - 2 * hour)).toBe(2 * hour)
  const last = clock.reading()
  const beforeTheEnd = Date.now() - 600 * second
  pass(50 * hour)
  const again = clockFrom(last).clock
  // What became due meanwhile is due; nothing is 50 hours older.
  expect(again.now() - last.now).toBe(50 * hour)
  expect(again.waited()).toBe(last.waited)
  expect(again.waited() - again.waitedAt(beforeTheEnd)).toBe(600 * second)
  expect(again.waited() - again.waitedAt(Date.now() - 20 * hour)).toBe(0)
})

test.each(jumps)('%s while nothing ran: nothing ages, nothing waits longer', (_, by) => {
  const { clock } = clockFrom()
  const received = Date.now()
  pass(60 * second)
  const last = clock.reading()
  pass(60 * second)
  setBy(by)
  const { clock: again, told } = clockFrom(last)
  expect(again.waited()).toBe(last.waited)
  expect(again.now()).toBeGreaterThanOrEqual(last.now)
  expect(again.waited() - again.waitedAt(received)).toBeLessThanOrEqual(60 * second)
  // Forward cannot be told from a time in which nothing ran.
  expect(told).toEqual(by < 0 ? [by + 60 * second] : [])
})

test('a message that would have waited longer than any may was received by a wrong clock', () => {
  const { clock } = clockFrom()
  expect(clock.waited() - clock.waitedAt(Date.now() - year)).toBe(0)
  expect(clock.waited() - clock.waitedAt(0)).toBe(0)
})

test('it starts with the machine, however long opening the index took', () => {
  const start = resumeClock(undefined, Date.now())
  pass(3 * second)
  const clock = new QueueClock(start, () => {})
  expect(clock.now()).toBe(Date.now())
  pass(0.4 * second)
  expect(clock.wallAt(clock.now())).toBe(Date.now())
  const next = resumeClock(clock.reading(), Date.now() + 7 * second)
  expect(next.now).toBe(next.wall)
})
