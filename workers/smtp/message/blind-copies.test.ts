import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BlindCopies } from './blind-copies.ts'

function without(text: string, cuts: readonly number[] = []): string {
  const bytes = Buffer.from(text, 'latin1')
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  const copies = new BlindCopies()
  const stay: Buffer[] = []
  let from = 0
  for (const to of [...places, bytes.length]) {
    stay.push(...copies.take(bytes.subarray(from, to)))
    from = to
  }
  return Buffer.concat([...stay, ...copies.rest()]).toString('latin1')
}

const rows: readonly [name: string, text: string, stays: string][] = [
  ['first', 'Bcc: a@b.test\r\nTo: c@d.test\r\n\r\nhi\r\n', 'To: c@d.test\r\n\r\nhi\r\n'],
  ['last', 'To: c@d.test\r\nBcc: a@b.test\r\n\r\nhi\r\n', 'To: c@d.test\r\n\r\nhi\r\n'],
  ['odd case, a blank before the colon', 'bCC :a@b.test\r\nX: y\r\n\r\n', 'X: y\r\n\r\n'],
  ['folded', 'X: y\r\nBcc:\r\n a@b.test,\r\n\tb@b.test\r\nTo: c\r\n z\r\n\r\n', 'X: y\r\nTo: c\r\n z\r\n\r\n'],
  ['Resent-Bcc, and two of them', 'Resent-Bcc: a\r\nRESENT-BCC: b\r\nbcc:\r\nX: y\r\n\r\n', 'X: y\r\n\r\n'],
  ['the body stays', 'X: y\r\n\r\nBcc: a\r\n', 'X: y\r\n\r\nBcc: a\r\n'],
  ['a message without header', '\r\nBcc: a\r\n', '\r\nBcc: a\r\n'],
  ['nothing but it', 'Bcc: a\r\n', ''],
  ['no body', 'X: y\r\nBcc: a\r\n', 'X: y\r\n'],
  [
    'other names',
    'Bccc: 1\r\nX-Bcc: 2\r\nBc: 3\r\nResent-To: 4\r\nB\r\n\r\n',
    'Bccc: 1\r\nX-Bcc: 2\r\nBc: 3\r\nResent-To: 4\r\nB\r\n\r\n',
  ],
  ['its name alone', 'X: y\r\nBcc', 'X: y\r\nBcc'],
]

describe('Bcc of what is handed in', () => {
  it.each(rows)('%s', (_name, text, stays) => {
    expect(without(text)).toBe(stays)
  })

  it.each(rows)('%s: cut at every byte, and into bytes', (_name, text, stays) => {
    for (let at = 0; at <= text.length; at++) expect(without(text, [at])).toBe(stays)
    expect(
      without(
        text,
        [...text].map((_, i) => i),
      ),
    ).toBe(stays)
  })

  it('wherever it stands in a header of a megabyte', () => {
    const filler = `X-Filler: ${'x'.repeat(60)}\r\n`.repeat(14_000)
    const text = `${filler}Bcc: a@b.test,\r\n b@b.test\r\nTo: c@d.test\r\n\r\nhi\r\n`
    const cuts = Array.from({ length: 200 }, (_, i) => i * 5003)
    expect(without(text, cuts)).toBe(`${filler}To: c@d.test\r\n\r\nhi\r\n`)
  })

  it('is what a reader of whole messages makes of it, in any pieces', () => {
    const line = fc.constantFrom(
      'Bcc: a',
      'bcc :',
      ' folded',
      '\tfolded',
      'To: b',
      'Resent-Bcc:x',
      'nothing',
      'Bcc',
      '',
    )
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), fc.array(fc.nat(200), { maxLength: 8 }), (lines, cuts) => {
        const end = lines.indexOf('')
        let goes = false
        const stays = lines.filter((text, i) => {
          if (end !== -1 && i >= end) return true
          if (!/^[ \t]/.test(text)) goes = /^(resent-)?bcc\s*:/i.test(text)
          return !goes
        })
        const text = (some: readonly string[]) => some.map((one) => `${one}\r\n`).join('')
        expect(without(text(lines), cuts)).toBe(text(stays))
      }),
      { numRuns: 2_000 },
    )
  })
})
