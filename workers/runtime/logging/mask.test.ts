import fc from 'fast-check'
import { expect, it } from 'vitest'
import { maskClientLine, maskServerLine, mechanismName } from './mask.ts'

const command = { within: false, known: true }

it.each([
  ['MAIL FROM:<a@b.test>', command, 'MAIL FROM:<a@b.test>'],
  ['AUTH PLAIN AGEAYg==', command, 'AUTH PLAIN ***'],
  ['auth login YW5u', command, 'AUTH LOGIN ***'],
  ['AUTH hunter2', command, 'AUTH ***'],
  ['AUTH hunter2 hunter2', command, 'AUTH *** ***'],
  ['AUTH', command, 'AUTH'],
  ['YW5u', { within: true, known: false }, '***'],
  ['NOOP', { within: true, known: true }, '***'],
  ['*', { within: true, known: false }, '*'],
  ['hunter2', { within: false, known: false }, '(7 bytes that are not a command)'],
])('%s', (line, about, masked) => {
  expect(maskClientLine(line, about)).toBe(masked)
})

it('a challenge is not shown, other replies are', () => {
  expect(maskServerLine('334 eyJzdGF0dXMiOiI0MDEifQ==')).toBe('334 ***')
  expect(maskServerLine('250 2.0.0 OK')).toBe('250 2.0.0 OK')
})

it('whatever stands behind AUTH is not shown', () => {
  fc.assert(
    fc.property(
      fc.stringMatching(/^[a-zA-Z0-9+/=]{12,40}$/),
      fc.constantFrom('PLAIN ', 'LOGIN ', '', 'X '),
      (secret, mechanism) => {
        expect(maskClientLine(`AUTH ${mechanism}${secret}`, command)).not.toContain(secret)
        expect(mechanismName(secret)).toBe('UNKNOWN')
      },
    ),
  )
})
