import { describe, expect, it } from 'vitest'
import { decideHello } from '../decide.ts'
import { examplePolicy, saidBy, sessionFacts } from '../example.ts'

describe('hello-syntax', () => {
  const ask = (argument: string) => saidBy(decideHello({ ...sessionFacts(), verb: 'EHLO', argument }, examplePolicy()))

  it.each([
    'mail.example.org',
    'localhost',
    'mail.example.org.',
    'my_pc',
    '192.0.2.1',
    '[192.0.2.1]',
    '[IPv6:2001:db8::1]',
  ])('takes %s', (argument) => {
    expect(ask(argument)).toBe('proceed')
  })

  it.each([
    '',
    '.',
    'two words',
    '[not an address]',
    '[300.1.1.1]',
    'a..b',
    '-',
    'x\r\ny',
    'mail\0',
    `${'a'.repeat(64)}.example`,
    '<script>',
  ])('refuses %j', (argument) => {
    expect(ask(argument)).toBe('501 5.5.2 helloSyntax')
  })
})
