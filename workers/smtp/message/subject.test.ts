import { growth, superlinear } from '@postern/net/test/cpu-time.ts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readSubject } from './subject.ts'

describe('a subject', () => {
  it.each([
    [' hello ', 'hello'],
    ['folded\r\n here', 'folded here'],
    ['=?utf-8?B?SGVsbG8gd8O2cmxk?=', 'Hello wörld'],
    ['=?UTF-8?q?w=C3=B6rld_and?= more', 'wörld and more'],
    ['=?iso-8859-1?Q?f=FCr?= =?iso-8859-1?Q?_uns?=', 'für uns'],
    ['=?utf-8?b?w7Y=?=\r\n =?utf-8?b?w7Y=?=', 'öö'],
    ['=?utf-8*de?q?gr=C3=BCn?=', 'grün'],
    // A character cut in two, as some clients do.
    ['=?utf-8?q?=C3?= =?utf-8?q?=B6?=', 'ö'],
    ['=?no-such-charset?q?a=FFb?=', 'a?b'],
    ['=?utf-8?x?a?=', '=?utf-8?x?a?='],
    ['a =?utf-8?q?=0D=0AInjected:_x?=', 'a ??Injected: x'],
    ['=?utf-8?q?=E2=80=AEesrever?=', '?esrever'],
    ['w\xc3\xb6rld', 'wörld'],
    ['w\xf6rld', 'w?rld'],
  ])('%j reads %j', (raw, text) => expect(readSubject(raw)).toBe(text))

  it('is never longer than 200, never draws, and takes anything', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(fc.string(), fc.constantFrom('=?utf-8?q?', '?=', '=?utf-8?b?', '=C3', '=0A', '\r\n ', '\x1b')),
        ),
        (parts) => {
          const text = readSubject(parts.join(''))
          expect(text.length).toBeLessThanOrEqual(200)
          expect(text).not.toMatch(/[\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069\u2028\u2029]/u)
        },
      ),
    )
    const long = '=?utf-8?q?=F0=9F=98=80?='.repeat(150)
    expect(readSubject(long).length).toBeLessThanOrEqual(200)
    expect(growth(200_000, (size) => readSubject('=?'.repeat(size)))).toBeLessThan(superlinear)
    expect(growth(200_000, (size) => readSubject(`=?utf-8?q?${'a'.repeat(size)}`))).toBeLessThan(superlinear)
  })
})
