import { describe, expect, it } from 'vitest'
import { decideAuth } from '../decide.ts'
import { authFacts, examplePolicy, saidBy } from '../test/example.ts'

describe('auth-credentials', () => {
  const policy = examplePolicy({ accounts: ['jane@example.org', { address: 'old@example.org', disabled: true }] })
  const ask = (login: string, result: 'valid' | 'invalid' | 'not-known') =>
    decideAuth(authFacts({ credentials: { login, result } }), policy)

  it('lets the right password in', () => {
    expect(saidBy(ask('jane@example.org', 'valid'))).toBe('proceed')
  })

  it('gives the same answer to a wrong password, an unknown and a disabled user', () => {
    for (const verdict of [
      ask('jane@example.org', 'invalid'),
      ask('nobody@example.org', 'invalid'),
      ask('old@example.org', 'valid'),
    ]) {
      expect(verdict.outcome).toEqual({ kind: 'refuse', reply: 'authFailed', close: false })
      expect(saidBy(verdict)).toBe('535 5.7.8 authFailed')
      expect(verdict.reason).toBe('auth-failed')
    }
  })

  it('never takes "not known" for no', () => {
    const verdict = ask('jane@example.org', 'not-known')
    expect(saidBy(verdict)).toBe('454 4.7.0 authTemporary')
    expect(verdict.reason).not.toBe('auth-failed')
  })
})
