import { expect, test } from 'vitest'
import { fromLocal, intervalsOf, narrowed, parseRange, spanOf, stepMinutesOf, toLocal } from './range.ts'

const noon = Date.parse('2026-11-30T12:00:00Z')

test('a range counts back from now; from and until are fixed', () => {
  expect(spanOf({}, 'day', noon)).toEqual({ since: '2026-11-29T12:00:00.000Z' })
  expect(spanOf({ range: '15m' }, 'day', noon)).toEqual({ since: '2026-11-30T11:45:00.000Z' })
  expect(spanOf({ range: 'all' }, 'day', noon)).toEqual({})
  expect(spanOf({ until: '2026-11-30T11:00:00.000Z' }, 'day', noon).since).toBeUndefined()
})

test.each([
  [{ range: 'hour' }, { range: 'hour' }],
  [{ range: 'constructor' }, {}],
  [{ range: 'hour', since: '2026-11-30' }, { since: '2026-11-30T00:00:00.000Z' }],
  [{ since: '2026-11-30T13:00:00+01:00', until: 'soon' }, { since: '2026-11-30T12:00:00.000Z' }],
  [{ since: 7, until: {} }, {}],
  [{ since: '+200000-01-01T00:00:00Z' }, {}],
])('%j in the URL is %j', (search, range) => {
  expect(parseRange(search)).toEqual(range)
})

test('a control of local time and back', () => {
  const iso = '2026-03-29T00:59:07.000Z'
  expect(fromLocal(toLocal(iso))).toBe(iso)
  expect(toLocal(undefined)).toBe('')
  expect(fromLocal('')).toBeUndefined()
  expect(fromLocal('2026-11')).toBe('2026-11-01T00:00:00.000Z')
})

test.each([
  ['2026-11-30T11:45:00Z', 1],
  ['2026-11-30T11:00:00Z', 1],
  ['2026-11-29T12:00:00Z', 30],
  ['2026-11-23T12:00:00Z', 180],
  ['2020-01-01T00:00:00Z', 1440],
])('from %s to now: bars of %i minutes', (since, minutes) => {
  expect(stepMinutesOf({ since }, noon)).toBe(minutes)
  expect(stepMinutesOf({}, noon)).toBe(1440)
})

test('intervals without events are there, also the first and the last', () => {
  const span = { since: '2026-11-30T11:57:30.000Z', now: noon, stepMinutes: 1 }
  const counted = intervalsOf([{ at: '2026-11-30T11:58:00.000Z', count: 7 }], span)
  expect(counted.map(({ count }) => count)).toEqual([0, 7, 0])
  expect(counted[0]?.at).toBe(Date.parse('2026-11-30T11:57:00Z'))
  expect(intervalsOf([], { now: noon, stepMinutes: 1440 })).toHaveLength(1)
})

test('a chosen interval stays within the span', () => {
  const at = Date.parse('2026-11-30T11:57:00Z')
  const span = { since: '2026-11-30T11:57:30.000Z' }
  expect(narrowed(span, at, at + 60_000)).toEqual({ ...span, until: '2026-11-30T11:58:00.000Z' })
})
