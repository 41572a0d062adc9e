import { expect, test } from 'vitest'
import { isAboutMechanism, offeredMechanisms } from './login.ts'

test.each<[string, [string, string][], string[]]>([
  ['AUTH', [['AUTH', 'PLAIN LOGIN']], ['PLAIN', 'LOGIN']],
  ['AUTH= of old servers', [['AUTH', 'PLAIN LOGIN =PLAIN']], ['PLAIN', 'LOGIN']],
  ['none', [], []],
])('%s', (_name, extensions, expected) => {
  expect([...offeredMechanisms(new Map(extensions))]).toEqual(expected)
})

test.each([
  [535, true],
  [504, true],
  [534, true],
  [538, true],
  [530, true],
  [454, false],
  [421, false],
])('%i asks for another mechanism: %s', (code, expected) => {
  expect(isAboutMechanism({ code, lines: [] })).toBe(expected)
})
