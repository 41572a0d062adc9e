import { describe, expect, it } from 'vitest'
import { decideAuth } from '../decide.ts'
import { authFacts, examplePolicy, saidBy, sessionFacts } from '../test/example.ts'

describe('auth-requires-tls', () => {
  const plain = { ...sessionFacts(), mechanism: 'PLAIN' }

  it('wants TLS before a password', () => {
    expect(saidBy(decideAuth(plain, examplePolicy()))).toBe('538 5.7.11 authRequiresTls')
    expect(saidBy(decideAuth(authFacts(), examplePolicy()))).toBe('proceed')
  })

  it('does without where the settings say so', () => {
    const policy = examplePolicy({ settings: { advanced: { allowPlainWithoutTls: true } } })
    expect(saidBy(decideAuth(plain, policy))).toBe('proceed')
  })
})
