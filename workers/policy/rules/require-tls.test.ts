import { describe, expect, it } from 'vitest'
import { decideMail } from '../decide.ts'
import { examplePolicy, mailFacts, saidBy } from '../test/example.ts'

describe('require-tls', () => {
  const ask = (tls: { requireTls?: 'no' | 'submission' | 'all'; starttls?: boolean }, facts = {}) =>
    saidBy(decideMail(mailFacts({ login: 'jane@example.org', ...facts }), examplePolicy({ settings: { tls } })))
  const refused = '530 5.7.0 tlsRequired'
  const encrypted = { tls: { version: 'TLSv1.3', cipher: 'x' } }

  it('asks for TLS on the submission port only, and only where it can be had', () => {
    expect(ask({}, { listener: 'submission' })).toBe(refused)
    expect(ask({}, { listener: 'submission', ...encrypted })).toBe('proceed')
    expect(ask({}, { listener: 'submission', tlsAvailable: false })).toBe('proceed')
    expect(ask({ starttls: false }, { listener: 'submission' })).toBe('proceed')
    expect(ask({}, { listener: 'smtp' })).toBe('proceed')
  })

  it('asks for it everywhere, or nowhere', () => {
    expect(ask({ requireTls: 'all' })).toBe(refused)
    expect(ask({ requireTls: 'all' }, { tlsAvailable: false })).toBe(refused)
    expect(ask({ requireTls: 'all' }, encrypted)).toBe('proceed')
    expect(ask({ requireTls: 'no' }, { listener: 'submission' })).toBe('proceed')
  })
})
