import { describe, expect, it } from 'vitest'
import { decideRcpt } from '../decide.ts'
import { examplePolicy, rcptFacts, saidBy } from '../test/example.ts'

describe('recipient-syntax', () => {
  const ask = (recipientText: string, facts = {}) =>
    saidBy(decideRcpt(rcptFacts({ recipientText, ...facts }), examplePolicy()))

  it('refuses what is no address', () => {
    for (const recipient of ['', '@example.org', 'jane@', 'a@b@example.org', 'jane@exa mple.org', 'jane@[1.2]'])
      expect(ask(recipient)).toBe('501 5.1.3 recipientSyntax')
  })

  it('knows postmaster without a domain, in any case', () => {
    expect(ask('postmaster')).toBe('proceed')
    expect(ask('PostMaster')).toBe('proceed')
  })

  it('takes a name alone for one of the home domain', () => {
    const to = (text: string) => decideRcpt(rcptFacts({ recipientText: text }), examplePolicy()).recipients
    expect(to('jane')).toEqual([{ address: 'jane@example.org', original: 'jane@example.org' }])
    expect(ask('root')).toBe('550 5.1.1 userUnknown')
  })

  it('drops a source route (RFC 5321, appendix C)', () => {
    const verdict = decideRcpt(
      rcptFacts({ recipientText: '@relay.example,@[192.0.2.1]:jane@example.org' }),
      examplePolicy(),
    )
    expect(verdict.recipients).toEqual([{ address: 'jane@example.org', original: 'jane@example.org' }])
    expect(ask('@relay.example:')).toBe('501 5.1.3 recipientSyntax')
    expect(ask('@relay.example:eve@remote.example')).toBe('550 5.7.1 relayDenied')
  })

  it('wants SMTPUTF8 for what is beyond ASCII', () => {
    expect(ask('zoë@example.org')).toBe('553 5.6.7 smtpUtf8Required')
    expect(ask('zoë@example.org', { smtpUtf8: true })).toBe('550 5.1.1 userUnknown')
  })
})
