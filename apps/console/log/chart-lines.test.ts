import { expect, test } from 'vitest'
import { chartLines } from './chart-lines.ts'
import { intervalsOf } from './range.ts'

const at = (minute: number) => new Date(Date.UTC(2026, 10, 30, 12, minute)).toISOString()
const span = { since: at(0), until: at(3), now: 0, stepMinutes: 1 }

test('the most frequent values have a line each, the others one together', () => {
  const items = [
    ...['a', 'b', 'c', 'd', 'e'].map((value, i) => ({ at: at(0), value, count: 10 - i })),
    { at: at(2), value: 'e', count: 1 },
    { at: at(2), value: null, count: 5 },
    { at: at(2), value: '', count: 9 },
  ]
  const intervals = intervalsOf(items, span)
  expect(intervals.map(({ count }) => count)).toEqual([40, 0, 15])
  expect(chartLines(items, intervals).map(({ value, values }) => [value, values])).toEqual([
    ['a', [10, 0, 0]],
    ['b', [9, 0, 0]],
    ['', [0, 0, 9]],
    ['c', [8, 0, 0]],
    [null, [13, 0, 6]],
  ])
})

test('no line without events', () => {
  expect(chartLines([], intervalsOf([], span))).toEqual([])
})
