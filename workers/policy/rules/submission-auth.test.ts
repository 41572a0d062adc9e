import { describe, expect, it } from 'vitest'
import { decideMail } from '../decide.ts'
import { examplePolicy, mailFacts, saidBy } from '../test/example.ts'

describe('submission-auth', () => {
  const ask = (facts = {}, general = {}) => {
    const tls = { version: 'TLSv1.3', cipher: 'x' }
    const policy = examplePolicy({ settings: { general }, lists: { relay: ['192.0.2.0/24'] } })
    return saidBy(decideMail(mailFacts({ listener: 'submission', tls, ...facts }), policy))
  }
  const refused = '530 5.7.0 authRequired'

  it('wants a login on the submission ports', () => {
    expect(ask()).toBe(refused)
    expect(ask({ listener: 'smtps' })).toBe(refused)
    expect(ask({ login: 'jane@example.org' })).toBe('proceed')
    expect(ask({ listener: 'smtp' })).toBe('proceed')
  })

  it('takes a client that may relay by its address', () => {
    expect(ask({ ip: '192.0.2.9' })).toBe('proceed')
    expect(ask({ ip: '192.0.2.9' }, { relayMode: 'none' })).toBe(refused)
    expect(ask({ ip: '192.0.2.9' }, { relayMode: 'anyone' })).toBe(refused)
  })
})
