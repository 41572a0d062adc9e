import fc from 'fast-check'
import { expect, it } from 'vitest'
import { csvLine, parseCsv } from './csv.ts'

it.each([
  ['=HYPERLINK("http://evil.test")', `"'=HYPERLINK(""http://evil.test"")"`],
  ['@spam.example', "'@spam.example"],
  ['+49', "'+49"],
  ['-1', "'-1"],
  ['\t=1', "'\t=1"],
  ["'=1", "''=1"],
  ["it's", "it's"],
  ["'quoted'", "'quoted'"],
  ['192.0.2.1', '192.0.2.1'],
])('%j is written as text, not as a formula', (cell, written) => {
  expect(csvLine([cell])).toBe(`${written}\r\n`)
})

it('reads what it wrote', () => {
  const cell = fc.oneof(
    fc.string(),
    fc.string({ unit: fc.constantFrom("'", '=', '"', ';', ',', '\r', '\n', '\t', '@', 'a') }),
  )
  fc.assert(
    fc.property(fc.array(fc.array(cell, { minLength: 2, maxLength: 4 }), { minLength: 1, maxLength: 4 }), (rows) => {
      const written = csvLine(['value', 'comment']) + rows.map((cells) => csvLine(cells)).join('')
      expect([...parseCsv(written)].slice(1)).toEqual(rows)
    }),
  )
})

it.each([
  [
    'value;comment\r\na.test;"one; two"\r\n',
    [
      ['value', 'comment'],
      ['a.test', 'one; two'],
    ],
  ],
  [
    '\ufeffvalue;comment\na.test;x,y',
    [
      ['value', 'comment'],
      ['a.test', 'x,y'],
    ],
  ],
  [
    'value,comment\na.test,x;y',
    [
      ['value', 'comment'],
      ['a.test', 'x;y'],
    ],
  ],
  [
    '"value";"comment"\n"a.test";',
    [
      ['value', 'comment'],
      ['a.test', ''],
    ],
  ],
  ['value\na.test', [['value'], ['a.test']]],
])('%j as a spreadsheet writes it', (text, rows) => {
  expect([...parseCsv(text)]).toEqual(rows)
})
