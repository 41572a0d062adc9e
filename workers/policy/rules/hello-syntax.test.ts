import { describe, expect, it } from 'vitest'
import { decideHello } from '../decide.ts'
import { examplePolicy, saidBy, sessionFacts } from '../test/example.ts'

describe('hello-syntax', () => {
  const ask = (argument: string) => saidBy(decideHello({ ...sessionFacts(), verb: 'EHLO', argument }, examplePolicy()))

  it.each([
    'mail.example.org',
    'localhost',
    'mail.example.org.',
    '192.0.2.1',
    '[192.0.2.1]',
    '[IPv6:2001:db8::1]',
    // ix-ai/smtp issue 6: Docker Compose; roundcube issue 6408: the catch-all server name of nginx.
    'web_1.web_internal',
    'my_pc',
    '_',
    // linagora/james-project issues 5258 and 5317.
    '7kO2OrE',
    'cabinet-maitre-.domain',
    '[IPV6:2a01:cb06:b841:bf5d:38ff:861a:1646:ab77]',
    // mjl-/mox issue 48: an IPv6 literal without its tag, and mail programs that send their link-local address.
    '[2001:db8::1]',
    '[fe80::1%12]',
    '2001:db8::1',
    // Scanners and Windows hosts: the name a person gave them, or none.
    '[]',
    'two words',
    "Jane's scanner",
    '.',
    'a..b',
    '-',
    '[mail.example.org]',
    'büro-pc',
    'プリンター',
    `${'a'.repeat(64)}.example`,
  ])('takes %s', (argument) => {
    expect(ask(argument)).toBe('proceed')
  })

  it.each([
    '',
    ' ',
    '[not an address]',
    '[300.1.1.1]',
    'x\r\ny',
    'mail\0',
    'mail\x7f',
    'a\u2028b',
    'a\u202eb',
    'a\u0085b',
    '<script>',
    'a"b',
  ])('refuses %j', (argument) => {
    expect(ask(argument)).toBe('501 5.5.2 helloSyntax')
  })
})
