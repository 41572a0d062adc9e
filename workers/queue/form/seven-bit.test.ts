import { expect, test } from 'vitest'
import { isSevenBit, toSevenBit } from './seven-bit.ts'

const message = (...lines: string[]) => Buffer.from(lines.join('\r\n'))

function converted(...lines: string[]): string {
  const octets = toSevenBit(message(...lines))
  if (!octets) throw new Error('it was not converted')
  expect(isSevenBit(octets)).toBe(true)
  return octets.toString('latin1')
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
