import { describe, expect, it } from 'vitest'
import { decideMail } from '../decide.ts'
import { examplePolicy, mailFacts, saidBy } from '../test/example.ts'

describe('sender-must-match-login', () => {
  const policy = examplePolicy({
    settings: { security: { senderMustMatchLogin: true } },
    aliases: {
      'sales@example.org': ['team@example.org'],
      'team@example.org': ['jane@example.org', 'sales@example.org'],
      'info@example.org': ['bob@example.org'],
    },
  })
  const ask = (senderText: string, login: string | undefined = 'jane@example.org') =>
    saidBy(decideMail(mailFacts({ senderText, ...(login && { login }) }), policy))

  it('takes the own address, with a box, under every name of the domain', () => {
    for (const sender of ['jane@example.org', 'Jane@Example.NET', 'jane+lists@example.org', ''])
      expect(ask(sender)).toBe('proceed')
  })

  it('takes an alias that leads to it, however long the way', () => {
    expect(ask('sales@example.org')).toBe('proceed')
    expect(ask('team+x@example.net')).toBe('proceed')
  })

  it('refuses all others, groups too', () => {
    for (const sender of [
      'bob@example.org',
      'info@example.org',
      'all@example.org',
      'jane@remote.example',
      'janet@example.org',
    ])
      expect(ask(sender)).toBe('553 5.7.1 senderMustMatchLogin')
  })

  it('is no matter without a login', () => {
    expect(ask('bob@example.org', '')).toBe('proceed')
  })
})
