/// <reference path="../libqp.d.ts" />
import fc from 'fast-check'
import libqp from 'libqp'
import { expect, test } from 'vitest'
import { isSevenBit, SevenBit, toSevenBit } from './seven-bit.ts'

const message = (...lines: string[]) => Buffer.from(lines.join('\r\n'))

function converted(...lines: string[]): string {
  const bytes = toSevenBit(message(...lines))
  if (!bytes) throw new Error('it was not converted')
  expect(isSevenBit(bytes)).toBe(true)
  return bytes.toString('latin1')
}

test('what is seven bit stays as it is', () => {
  const plain = message('Subject: x', '', 'hello', '')
  expect(toSevenBit(plain)).toBe(plain)
})

test('text becomes quoted-printable, the rest base64, each part by itself', () => {
  const text = converted(
    'MIME-Version: 1.0',
    'Content-Type: multipart/mixed;',
    ' boundary="a b"',
    'Content-Transfer-Encoding: 8bit',
    '',
    'préambule',
    '--a b',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: 8bit',
    '',
    'häh =',
    '--a b',
    'Content-Type: application/x-thing',
    '',
    'ß',
    '--a b',
    '',
    'plain =',
    '--a b--',
    '',
  )
  expect(text).toBe(
    message(
      'MIME-Version: 1.0',
      'Content-Type: multipart/mixed;',
      ' boundary="a b"',
      'Content-Transfer-Encoding: 7bit',
      '',
      'pr??ambule',
      '--a b',
      'Content-Type: text/plain; charset=utf-8',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      'h=C3=A4h =3D',
      '--a b',
      'Content-Type: application/x-thing',
      'Content-Transfer-Encoding: base64',
      '',
      'w58=',
      '',
      '--a b',
      '',
      'plain =',
      '--a b--',
      '',
    ).toString(),
  )
})

test('a message that is not MIME says that nobody knows what it is (RFC 1428)', () => {
  expect(converted('Subject: x', '', 'ä', '')).toBe(
    'Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4\r\n',
  )
})

test('a message within a message', () => {
  const inner = ['MIME-Version: 1.0', 'Content-Type: text/plain', '', 'ä', '']
  expect(converted('MIME-Version: 1.0', 'Content-Type: message/rfc822', '', ...inner)).toBe(
    'MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4\r\n',
  )
})

test.each([
  ['a header above 127', ['Subject: ä', '', 'x']],
  [
    'a part header above 127',
    ['MIME-Version: 1.0', 'Content-Type: multipart/x; boundary=a', '', '--a', 'X: ä', '', 'x', '--a--'],
  ],
  [
    'what is signed as a whole',
    ['MIME-Version: 1.0', 'Content-Type: multipart/signed; boundary=a', '', '--a', '', 'ä', '--a--'],
  ],
  ['a multipart without boundary', ['MIME-Version: 1.0', 'Content-Type: multipart/mixed', '', 'ä']],
])('%s is not converted', (_name, lines) => {
  expect(toSevenBit(message(...lines))).toBeUndefined()
})

test('long lines are broken softly, line ends stay', () => {
  const text = converted('MIME-Version: 1.0', '', `${'ä'.repeat(100)}`, 'end', '')
  expect(text.split('\r\n').every((line) => line.length <= 76)).toBe(true)
  expect(text.endsWith('\r\nend\r\n')).toBe(true)
})

test('what is encoded already is not encoded twice; only what may not stand in it goes', () => {
  const lines = [
    'MIME-Version: 1.0',
    'Content-Type: multipart/mixed; boundary=a',
    '',
    '--a',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: quoted-printable',
    '',
    'h=C3=A4h =3D and=',
    ' raw ü, trailing ',
    '--a',
    'Content-Type: application/pdf',
    'Content-Transfer-Encoding: BASE64',
    '',
    'AAAA',
    '--a',
    'Content-Transfer-Encoding: 8bit',
    '',
    'ß',
    '--a--',
    '',
  ]
  const text = converted(...lines)
  expect(text).toContain('quoted-printable\r\n\r\nh=C3=A4h =3D and=\r\n raw =C3=BC, trailing \r\n--a')
  expect(text).toContain('Content-Transfer-Encoding: BASE64\r\n\r\nAAAA\r\n--a')
  expect(text).toContain('Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=9F\r\n--a--')
})

test('lines that are too long leave encoded, also where nothing is beyond ASCII', () => {
  const long = `${'x'.repeat(2000)} `
  const text = converted('MIME-Version: 1.0', 'Content-Type: text/html', '', long, 'short', '')
  expect(text).toContain('Content-Transfer-Encoding: quoted-printable')
  expect(Math.max(...text.split('\r\n').map((line) => line.length))).toBeLessThanOrEqual(76)
  expect(decodedLeaves(text)).toEqual([Buffer.from(`${long}\r\nshort\r\n`)])
})

test('a signed part is left whole, and the parts beside it are converted (RFC 1847 §2.1)', () => {
  const signed = [
    '--b',
    '',
    `${'x'.repeat(2000)}`,
    '--b',
    'Content-Type: application/pgp-signature',
    '',
    'sig',
    '--b--',
  ]
  const head = ['MIME-Version: 1.0', 'Content-Type: multipart/mixed; boundary=a', '', '--a']
  const inner = ['Content-Type: multipart/signed; boundary=b', '', ...signed]
  const text = converted(...head, ...inner, '--a', '', 'ü', '--a--', '')
  expect(text).toContain(inner.join('\r\n'))
  expect(text).toContain('=C3=BC')
  const broken = inner.map((line) => (line === 'sig' ? 'süg' : line))
  expect(toSevenBit(message(...head, ...broken, '--a--', ''))).toBeUndefined()
})

test('a multipart whose delimiters never come is not thrown away', () => {
  expect(
    toSevenBit(
      message('MIME-Version: 1.0', 'Content-Type: multipart/mixed; boundary=a', '', '--b', '', 'ü', '--b--', ''),
    ),
  ).toBeUndefined()
})

test('a type without MIME-Version is believed, and gets one', () => {
  const text = converted('Content-Type: multipart/alternative; boundary=a', '', '--a', '', 'ü', '--a--', '')
  expect(text).toMatch(/^MIME-Version: 1\.0\r\nContent-Type: multipart\/alternative/)
  expect(text).toContain('=C3=BC')
})

/** The bytes of each leaf of a message that was converted, by another decoder. */
function decodedLeaves(text: string): Buffer[] {
  const end = `\r\n${text}`.indexOf('\r\n\r\n')
  const header = end === -1 ? text : text.slice(0, end)
  const body = end === -1 ? '' : text.slice(end + 2)
  const boundary = /boundary="?([^";\r\n]+)/i.exec(header)?.[1]
  if (boundary !== undefined) {
    const parts = `\r\n${body}`.split(`\r\n--${boundary}`).slice(1, -1)
    return parts.flatMap((part) => decodedLeaves(part.replace(/^\r\n/, '')))
  }
  if (/message\/rfc822/.test(header)) return decodedLeaves(body)
  const encoding = /^content-transfer-encoding: *(\S+)/im.exec(header)?.[1]?.toLowerCase()
  if (encoding === 'base64') return [Buffer.from(body, 'base64')]
  return [encoding === 'quoted-printable' ? libqp.decode(body) : Buffer.from(body, 'latin1')]
}

type Tree =
  | { kind: 'leaf'; type: string; body: Buffer }
  | { kind: 'multipart'; parts: Tree[] }
  | { kind: 'enclosed'; inner: Tree }

const lineOf = fc.oneof(
  { weight: 4, arbitrary: fc.string({ maxLength: 90, unit: 'grapheme' }) },
  {
    weight: 1,
    arbitrary: fc.string({ minLength: 900, maxLength: 1300, unit: fc.constantFrom('x', 'é', ' ', '=', '\t') }),
  },
  { weight: 1, arbitrary: fc.constantFrom('', '.', '--', '-- ', '--other', 'From me', ' ', 'a \t', '=', '=3D', '\0') },
)
const body = fc
  .array(lineOf, { maxLength: 12 })
  .map((lines) => Buffer.from(lines.map((line) => line.replace(/[\r\n]/g, '')).join('\r\n')))
const tree: fc.Arbitrary<Tree> = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.record({
      kind: fc.constant('leaf' as const),
      type: fc.constantFrom('text/plain', 'text/html', 'application/x', ''),
      body,
    }),
    fc.record({
      kind: fc.constant('multipart' as const),
      parts: fc.array(tie('tree'), { minLength: 1, maxLength: 4 }),
    }),
    fc.record({ kind: fc.constant('enclosed' as const), inner: tie('tree') }),
  ),
})).tree

let boundaries = 0
function written(tree: Tree, version: string): { bytes: Buffer; leaves: Buffer[] } {
  const head = (type: string) => Buffer.from(`${version}${type === '' ? '' : `Content-Type: ${type}\r\n`}\r\n`)
  if (tree.kind === 'leaf') return { bytes: Buffer.concat([head(tree.type), tree.body]), leaves: [tree.body] }
  if (tree.kind === 'enclosed') {
    const inner = written(tree.inner, 'MIME-Version: 1.0\r\n')
    return { bytes: Buffer.concat([head('message/rfc822'), inner.bytes]), leaves: inner.leaves }
  }
  const boundary = `=_${++boundaries} '()+_,-./:=?`
  const parts = tree.parts.map((part) => written(part, ''))
  const pieces = parts.flatMap(({ bytes }) => [Buffer.from(`\r\n--${boundary}\r\n`), bytes])
  const bytes = Buffer.concat([
    head(`multipart/mixed; boundary="${boundary}"`),
    ...pieces,
    Buffer.from(`\r\n--${boundary}--`),
  ])
  return { bytes, leaves: parts.flatMap(({ leaves }) => leaves) }
}

test('whatever is in it, in whatever pieces it comes: every leaf decodes to what it was, every line fits', () => {
  const check = (given: Tree, cuts: number[]) => {
    const { bytes: inside, leaves } = written(given, 'MIME-Version: 1.0\r\n')
    const bytes = Buffer.concat([inside, Buffer.from('\r\n')])
    const whole = toSevenBit(bytes) as Buffer
    expect(isSevenBit(whole)).toBe(true)
    expect(
      Math.max(
        ...whole
          .toString('latin1')
          .split('\r\n')
          .map((line) => line.length),
      ),
    ).toBeLessThanOrEqual(998)
    const last = given.kind === 'leaf' || given.kind === 'enclosed' ? leaves.length - 1 : -1
    // The CRLF that ends the message is its last leaf's.
    const isOpen = last >= 0 && endsOpen(given)
    const expected = leaves.map((leaf, i) => (isOpen && i === last ? Buffer.concat([leaf, Buffer.from('\r\n')]) : leaf))
    expect(decodedLeaves(whole.toString('latin1'))).toEqual(expected)
    const pieces = cut(bytes, cuts)
    const survey = read(new SevenBit(), pieces).reading.survey
    expect(survey.unfit).toBeUndefined()
    const same = read(new SevenBit(survey.changes.map(() => false)), pieces).bytes
    if (same.every((byte) => byte < 128)) expect(same).toEqual(bytes)
    expect(read(new SevenBit(survey.changes), pieces).bytes).toEqual(whole)
  }
  fc.assert(fc.property(tree, fc.array(fc.nat(3000), { maxLength: 20 }), check), { numRuns: 300 })
})

function endsOpen(tree: Tree): boolean {
  return tree.kind === 'leaf' || (tree.kind === 'enclosed' && endsOpen(tree.inner))
}

function cut(bytes: Buffer, cuts: number[]): Buffer[] {
  const slots = [0, ...cuts.map((at) => at % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return slots.slice(1).map((to, i) => bytes.subarray(slots[i], to))
}

function read(reading: SevenBit, pieces: Buffer[]): { reading: SevenBit; bytes: Buffer } {
  const out = pieces.map((piece) => reading.push(piece))
  return { reading, bytes: Buffer.concat([...out, reading.end()]) }
}

test('anything at all is converted into seven bits, or not at all, in one piece as in many', () => {
  const word = fc.constantFrom(
    '\r\n',
    '--a',
    '--a--',
    '--',
    'Content-Type: multipart/mixed; boundary=a',
    'Content-Type: message/rfc822',
    'Content-Transfer-Encoding: base64',
    'MIME-Version: 1.0',
    'ü',
    ' ',
    'x',
    '=',
    '\r',
    '\n',
    ':',
    '\r\n\r\n',
  )
  const check = (words: string[], cuts: number[]) => {
    const bytes = Buffer.from(words.join(''))
    const whole = toSevenBit(bytes)
    if (whole) expect(isSevenBit(whole)).toBe(true)
    const pieces = cut(bytes, cuts)
    const { survey } = read(new SevenBit(), pieces).reading
    expect(survey.unfit === undefined).toBe(whole !== undefined)
    if (whole && survey.changes.includes(true)) expect(read(new SevenBit(survey.changes), pieces).bytes).toEqual(whole)
  }
  fc.assert(fc.property(fc.array(word, { maxLength: 40 }), fc.array(fc.nat(300), { maxLength: 10 }), check), {
    numRuns: 2000,
  })
})
