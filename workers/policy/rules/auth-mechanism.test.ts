import { describe, expect, it } from 'vitest'
import { decideAuth } from '../decide.ts'
import { authFacts, examplePolicy, saidBy } from '../test/example.ts'

describe('auth-mechanism', () => {
  const ask = (mechanism: string, authMechanisms: ('PLAIN' | 'LOGIN' | 'XOAUTH2')[]) =>
    saidBy(decideAuth(authFacts({ mechanism }), examplePolicy({ settings: { advanced: { authMechanisms } } })))

  it('takes what the settings allow, in any case', () => {
    expect(ask('PLAIN', ['PLAIN'])).toBe('proceed')
    expect(ask('login', ['PLAIN', 'LOGIN'])).toBe('proceed')
  })

  it('refuses what they do not, and what this server does not speak', () => {
    expect(ask('LOGIN', ['PLAIN'])).toBe('504 5.5.4 authMechanism')
    expect(ask('PLAIN', [])).toBe('504 5.5.4 authMechanism')
    expect(ask('XOAUTH2', ['PLAIN', 'XOAUTH2'])).toBe('504 5.5.4 authMechanism')
    expect(ask('', ['PLAIN'])).toBe('504 5.5.4 authMechanism')
  })

  it('watched, lets through what this server speaks, and nothing else', () => {
    const policy = examplePolicy({
      settings: { advanced: { authMechanisms: ['LOGIN'] }, security: { watch: ['auth-mechanism'] } },
    })
    expect(saidBy(decideAuth(authFacts({ mechanism: 'PLAIN' }), policy))).toBe('proceed')
    expect(saidBy(decideAuth(authFacts({ mechanism: 'CRAM-MD5' }), policy))).toBe('504 5.5.4 authMechanism')
  })
})
