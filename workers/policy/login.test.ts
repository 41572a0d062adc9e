import { describe, expect, it } from 'vitest'
import { authMechanisms, findAccount, mayShowSecret } from './login.ts'
import { examplePolicy } from './test/example.ts'

describe('findAccount', () => {
  const accounts = [
    'jane@example.org',
    { address: 'bob@example.org', login: 'Robert' },
    { address: 'old@example.org', disabled: true },
  ]
  const find = (login: string, hostDelimiters = '') =>
    findAccount(examplePolicy({ accounts, settings: { advanced: { hostDelimiters } } }), login)?.address

  it('knows the login, or the address where there is none', () => {
    expect(find('jane@example.org')).toBe('jane@example.org')
    expect(find(' Jane@EXAMPLE.org ')).toBe('jane@example.org')
    expect(find('robert')).toBe('bob@example.org')
    expect(find('bob@example.org')).toBeUndefined()
  })

  it('knows boxes and the names of the domain', () => {
    expect(find('jane+phone@example.org')).toBe('jane@example.org')
    expect(find('jane@example.net')).toBe('jane@example.org')
  })

  it('reads host delimiters where the settings say so', () => {
    expect(find('jane%example.org')).toBeUndefined()
    for (const delimiter of '%*:$&') expect(find(`jane${delimiter}example.org`, '%*:$&')).toBe('jane@example.org')
  })

  it('knows nobody else', () => {
    for (const login of [
      '',
      '@',
      'jane',
      'jane@',
      '@example.org',
      'old@example.org',
      'jane@example.org@example.org',
      '__proto__',
    ])
      expect(find(login, '%')).toBeUndefined()
  })
})

describe('authMechanisms', () => {
  it('offers what is allowed and spoken', () => {
    const authMechanismsSetting = ['LOGIN', 'XOAUTH2', 'PLAIN'] as const
    const policy = examplePolicy({ settings: { advanced: { authMechanisms: [...authMechanismsSetting] } } })
    expect(authMechanisms(policy)).toEqual(['LOGIN', 'PLAIN'])
  })

  it('offers tokens where somebody issues them, and never without TLS', () => {
    const oauth = { issuer: 'https://id.example.org', audience: 'smtp' }
    const mechanisms = ['XOAUTH2', 'PLAIN', 'OAUTHBEARER'] as const
    const advanced = { authMechanisms: [...mechanisms], oauth, allowPlainWithoutTls: true }
    const policy = examplePolicy({ settings: { advanced } })
    expect(authMechanisms(policy)).toEqual(mechanisms)
    const tls = { version: 'TLSv1.3', cipher: 'x' }
    for (const [session, expected] of [
      [{}, ['PLAIN']],
      [{ tls }, mechanisms],
    ] as const)
      expect(mechanisms.filter((name) => mayShowSecret(name, session, policy))).toEqual(expected)
  })
})
