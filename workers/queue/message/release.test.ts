import { expect, it } from 'vitest'
import { release } from './release.ts'

it('a large buffer is empty afterwards, with all views of it', () => {
  const record = Buffer.alloc(100_000, 'x')
  const body = record.subarray(500)
  release(body)
  expect([record.length, body.length, record.buffer.byteLength]).toEqual([0, 0, 0])
})

it.each([
  ['a small one, which shares its memory', () => Buffer.from('x'.repeat(1000))],
  ['one as large as the pool that others share', () => Buffer.alloc(Buffer.poolSize, 'x')],
  ['a small part of a large one', () => Buffer.alloc(1_000_000, 'x').subarray(0, 100_000)],
  ['one that is shared between threads', () => Buffer.from(new SharedArrayBuffer(100_000))],
])('%s stays', (_, make) => {
  const bytes = make()
  const { length } = bytes
  release(bytes)
  expect(bytes).toHaveLength(length)
})
