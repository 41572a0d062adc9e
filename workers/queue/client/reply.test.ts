import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BadReply, ReplyReader, replyText } from './reply.ts'

const read = (...chunks: (string | Buffer)[]) => {
  const reader = new ReplyReader()
  return chunks.flatMap((chunk) => reader.feed(Buffer.from(chunk as string)))
}

test('one line, several lines, several replies, any split', () => {
  expect(read('250 2.1.0 ok\r\n')).toEqual([{ code: 250, enhanced: '2.1.0', lines: ['2.1.0 ok'] }])
  const text = '250-a\r\n250-b\r\n250 c\r\n550 5.1.1 no\r\n354\r\n'
  const whole = read(text)
  expect(whole.map(({ code }) => code)).toEqual([250, 550, 354])
  for (let at = 0; at <= text.length; at++) expect(read(text.slice(0, at), text.slice(at))).toEqual(whole)
  expect(replyText(whole[0] as never)).toBe('250-a\n250-b\n250 c')
})

test('an enhanced code that disagrees with the code is not believed', () => {
  expect(read('550 2.0.0 odd\r\n')[0]).not.toHaveProperty('enhanced')
  expect(read('450 4.2.1x odd\r\n')[0]).not.toHaveProperty('enhanced')
})

test('what is no reply is refused', () => {
  for (const text of [
    'HTTP/1.1 200 OK\r\n',
    '99 x\r\n',
    '600 x\r\n',
    '2500 x\r\n',
    '\r\n',
    '250-a\r\n550 b\r\n',
    '25\r\n',
    '250_a\r\n',
  ])
    expect(() => read(text), text).toThrow(BadReply)
})

test('it has an end: long lines, endless replies', () => {
  expect(() => read('x'.repeat(5000))).toThrow(BadReply)
  expect(() => read(`250 ${'x'.repeat(5000)}\r\n`)).toThrow(BadReply)
  expect(() => read('250-x\r\n'.repeat(1000))).toThrow(BadReply)
  expect(() => read(`250-${'x'.repeat(3000)}\r\n`.repeat(100))).toThrow(BadReply)
})

test('for all bytes: replies or BadReply, and no control character passes', () => {
  const bytes = fc.array(fc.oneof(fc.constantFrom('250 ', '250-', '\r\n', '\n', '4.1.1', '\0', '\x1b['), fc.string()))
  fc.assert(
    fc.property(bytes, fc.array(fc.nat(50)), (parts, splits) => {
      const all = Buffer.from(parts.join(''))
      const reader = new ReplyReader()
      let at = 0
      try {
        for (const length of [...splits, all.length]) {
          for (const reply of reader.feed(all.subarray(at, at + length))) {
            expect(reply.code).toBeGreaterThanOrEqual(200)
            expect(reply.code).toBeLessThan(600)
            expect(reply.lines.join('')).not.toMatch(/[\x00-\x08\x0a-\x1f\x7f]/)
          }
          at = Math.min(all.length, at + length)
        }
      } catch (error) {
        expect(error).toBeInstanceOf(BadReply)
      }
    }),
    { numRuns: 2000 },
  )
})
