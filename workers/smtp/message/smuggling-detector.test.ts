import { growth, superlinear } from '@postern/net/test/cpu-time.ts'
import { expect, it } from 'vitest'
import { SmugglingDetector } from './smuggling-detector.ts'

function seen(text: string, cuts: number[] = []): boolean {
  const look = new SmugglingDetector()
  const bytes = Buffer.from(text, 'latin1')
  let from = 0
  for (const to of [...cuts, bytes.length]) {
    look.look(bytes.subarray(from, to), true)
    from = to
  }
  return look.found
}

it.each([
  ['LF.LF', 'a\n.\nMAIL FROM:<x@y>\r\n'],
  ['LF.CRLF', 'a\n.\r\nmail from:<x@y>\r\n'],
  ['CRLF.LF', 'a\r\n.\nRCPT TO:<x@y>\r\n'],
  ['CR.CR', 'a\r.\rEHLO x\r\n'],
  ['CR.CRLF', 'a\r.\r\nDATA\r\n'],
  ['CRLF.CR', 'a\r\n.\rRSET\r\n'],
  ['CRLF.CR CRLF', 'a\r\n.\r\r\nMAIL FROM:<x@y>\r\n'],
  ['a NUL beside the dot', 'a\r\n\0.\r\nMAIL FROM:<x@y>\r\n'],
  ['a NUL behind the dot', 'a\r\n.\0\r\nMAIL FROM:<x@y>\r\n'],
  ['in the first line', '.\nMAIL FROM:<x@y>\r\n'],
])('%s and a command: seen, wherever the packets end', (_name, text) => {
  expect(seen(text)).toBe(true)
  for (let cut = 1; cut < text.length; cut++) expect(seen(text, [cut])).toBe(true)
  expect(
    seen(
      text,
      Array.from({ length: text.length - 1 }, (_, i) => i + 1),
    ),
  ).toBe(true)
})

it.each([
  ['an old client: bare LF in all lines', 'Subject: x\n\none\ntwo\n'],
  ['an old client, and a line of one dot', 'one\n.\ntwo\n'],
  ['an old client that ends its data so and says QUIT', 'one\n.\nQUIT\n'],
  ['commands quoted', 'one\nMAIL FROM:<x@y>\nRCPT TO:<x@y>\n'],
  ['a stuffed dot', 'one\n..\nMAIL FROM:<x@y>\n'],
  ['a dot within a line', 'one.\nMAIL FROM:<x@y>\n'],
  ['a NUL and nothing else', 'one\0two\r\n'],
])('%s: not an attempt', (_name, text) => {
  expect(seen(text)).toBe(false)
  for (let cut = 1; cut < text.length; cut++) expect(seen(text, [cut])).toBe(false)
})

it('is not looked for in plain messages', () => {
  const look = new SmugglingDetector()
  look.look(Buffer.from('a\n.\nMAIL FROM:<x@y>\r\n'), false)
  expect(look.found).toBe(false)
})

it('takes linear time of whatever a stranger sends', () => {
  for (const piece of ['\n', '\r', '\0', '\n.', '\r\0', '.\0\r', '\n.\r\r', '\n\0']) {
    const look = (text: string) => new SmugglingDetector().look(Buffer.from(text), true)
    expect(
      growth(200_000, (size) => look(piece.repeat(size))),
      JSON.stringify(piece),
    ).toBeLessThan(superlinear)
  }
})
