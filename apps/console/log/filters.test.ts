import { expect, test } from 'vitest'
import {
  canFollow,
  chipsOf,
  eventFields,
  filterValue,
  messageFields,
  parseEventsSearch,
  parseMessagesSearch,
  problemOf,
  queryOf,
  valueText,
} from './filters.ts'

test('the URL is a search: every filter, the time, the columns; nothing else', () => {
  const search = Object.fromEntries(eventFields.map(({ key }) => [key, `a ${key}`]))
  const all = { ...search, range: 'hour', by: 'rule', columns: 'at,rule' }
  expect(parseEventsSearch({ ...all, evil: 'x' })).toEqual(all)
  expect(parseEventsSearch({ by: 'fields', q: '  ', sender: ['x'], range: 'year' })).toEqual({})
  expect(parseMessagesSearch({ outcome: 'bounced', type: 'x', since: '2026-11-30T00:00:00Z' })).toEqual({
    outcome: 'bounced',
    since: '2026-11-30T00:00:00.000Z',
  })
})

test('the router reads 550 as a number; it is a code', () => {
  expect(parseEventsSearch({ code: 550, q: true })).toEqual({ code: '550', q: 'true' })
})

test('the null sender is <> in the URL and empty for the API', () => {
  expect(queryOf({ sender: '<>', range: 'day', q: 'x' }, messageFields)).toMatchObject({ sender: '', q: 'x' })
  expect(queryOf({ sender: '<>', range: 'day' }, eventFields)).not.toHaveProperty('range')
  expect(filterValue('sender', '')).toBe('<>')
  expect(valueText('sender', '')).toBe('<> (null sender)')
})

test('chips are the filters that are set, in words', () => {
  const search = { type: 'delivery.bounced,delivery.', q: '550 %_"\u202e', range: 'day', by: 'rule' }
  expect(chipsOf(search, eventFields)).toEqual([
    { key: 'q', label: 'Text', value: '550 %_"\u202e' },
    { key: 'type', label: 'Type', value: 'Bounced, all delivery.*' },
  ])
})

test.each([
  ['client', '10.0.0.0/8', true],
  ['client', '2001:db8::1', true],
  ['client', 'mail.example', false],
  ['code', '550', true],
  ['code', '5.7.1', true],
  ['code', '99', false],
  ['message', '01935b5e-0000-7000-8000-000000000000', true],
  ['message', 'x', false],
  ['q', '"%_', true],
])('%s %s is right: %s', (key, value, right) => {
  expect(problemOf(key, value) === undefined).toBe(right)
})

test('only what the stream can filter is followed, and nothing that ends', () => {
  expect(canFollow({ q: 'x', type: 'delivery.', range: 'all', by: 'rule', columns: 'at' })).toBe(true)
  expect(canFollow({ sender: 'a@b.example' })).toBe(false)
  expect(canFollow({ until: '2026-11-30T00:00:00.000Z' })).toBe(false)
})
