import { expect, test } from 'vitest'
import { formatAgo, formatBytes, formatSpan, inSentence, plural } from './format.ts'

test('bytes in binary units', () => {
  expect([0, 900, 26_214_400, 1_073_741_824, 1536].map(formatBytes)).toEqual([
    '0 B',
    '900 B',
    '25 MiB',
    '1 GiB',
    '1.5 KiB',
  ])
})
test('spans in their two largest parts', () => {
  expect([0, 40_000, 720_000, 3_600_000, 11_040_000, 273_600_000].map(formatSpan)).toEqual([
    '0 s',
    '40 s',
    '12 min',
    '1 h',
    '3 h 4 min',
    '3 d 4 h',
  ])
})
test('ago and ahead', () => {
  expect([formatAgo(0, 60_000), formatAgo(60_000, 0), formatAgo(0, 500)]).toEqual(['1 min ago', 'in 1 min', 'now'])
})
test('plural', () => {
  expect([plural(1, 'message'), plural(1200, 'message'), plural(2, 'entry', 'entries')]).toEqual([
    '1 message',
    '1,200 messages',
    '2 entries',
  ])
})

test('a title within a sentence keeps the capitals of its abbreviation', () => {
  expect(['Domains', 'DKIM keys', 'API tokens'].map(inSentence)).toEqual(['domains', 'DKIM keys', 'API tokens'])
})
