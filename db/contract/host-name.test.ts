import { expect, test } from 'vitest'
import { hostNameOf, isOfMany } from './host-name.ts'

test.each([
  ['mail.example.org', 'vm', 'mail.example.org'],
  ['', 'mx.example.org', 'mx.example.org'],
  ['', 'mx.example.org.', 'mx.example.org'],
  ['', 'vm', 'vm.localdomain'],
  ['', 'abcdef', 'abcdef.localdomain'],
  ['', '', 'localhost.localdomain'],
  ['mail', 'mx.example.org', 'mail.localdomain'],
  ['192.0.2.1', 'vm', '[192.0.2.1]'],
  ['', '2001:db8::1', '[IPv6:2001:db8::1]'],
  ['a1.example.de', 'vm', 'a1.example.de'],
])('host name "%s" on the machine "%s" is %s on the wire', (hostname, machine, expected) => {
  expect(hostNameOf(hostname, machine)).toBe(expected)
})

test('a name that many machines have is no proof of which one it is', () => {
  expect(
    ['localhost', 'localhost.localdomain', 'vm.LocalDomain', 'mx.example.org', '[192.0.2.1]'].map(isOfMany),
  ).toEqual([true, true, true, false, false])
})
