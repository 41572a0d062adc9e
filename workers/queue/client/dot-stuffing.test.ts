import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DotStuffer, dotStuffed } from './dot-stuffing.ts'

/** The obvious way, line by line. */
function slowly(text: string): string {
  const whole = text === '' || text.endsWith('\r\n') ? text : `${text}\r\n`
  return `${whole
    .split('\r\n')
    .map((line) => (line.startsWith('.') ? `.${line}` : line))
    .join('\r\n')}.\r\n`
}

const texts = fc.array(fc.constantFrom('.', '..', '\r\n', '\r', '\n', 'a', 'text')).map((parts) => parts.join(''))

test('whole messages', () => {
  fc.assert(fc.property(texts, (text) => Buffer.concat(dotStuffed(Buffer.from(text))).toString() === slowly(text)))
})

test('streams, over any split', async () => {
  const splits = fc.array(fc.integer({ min: 1, max: 4 }))
  await fc.assert(
    fc.asyncProperty(texts, splits, async (text, lengths) => {
      const chunks: Buffer[] = []
      let at = 0
      for (const length of lengths) {
        chunks.push(Buffer.from(text.slice(at, at + length)))
        at += length
      }
      chunks.push(Buffer.from(text.slice(at)))
      const out = await buffer(Readable.from(chunks, { objectMode: false }).pipe(new DotStuffer()))
      expect(out.toString()).toBe(slowly(text))
    }),
    { numRuns: 300 },
  )
})
