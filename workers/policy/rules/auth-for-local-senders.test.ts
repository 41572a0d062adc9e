import { describe, expect, it } from 'vitest'
import { decideMail } from '../decide.ts'
import { examplePolicy, mailFacts, saidBy } from '../test/example.ts'

describe('auth-for-local-senders', () => {
  const policy = examplePolicy({ settings: { security: { requireAuthForLocalSenders: true } } })
  const ask = (senderText: string, facts = {}) => saidBy(decideMail(mailFacts({ senderText, ...facts }), policy))

  it('wants a login of who writes as one of us', () => {
    expect(ask('nobody@example.org')).toBe('530 5.7.0 authRequired')
    expect(ask('jane@EXAMPLE.net')).toBe('530 5.7.0 authRequired')
    expect(ask('jane@example.org', { login: 'jane@example.org' })).toBe('proceed')
  })

  it('is no matter to others', () => {
    expect(ask('eve@remote.example')).toBe('proceed')
    expect(ask('')).toBe('proceed')
    expect(saidBy(decideMail(mailFacts({ senderText: 'jane@example.org' }), examplePolicy()))).toBe('proceed')
  })
})
