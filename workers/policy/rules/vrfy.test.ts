import { parseMailAddress } from '@postern/contract/address.ts'
import { describe, expect, it } from 'vitest'
import { decideVrfy } from '../decide.ts'
import { type Change, examplePolicy, saidBy, sessionFacts } from '../test/example.ts'

describe('vrfy', () => {
  const on = { settings: { security: { disableVrfy: false } } }
  const ask = (argument: string, change: Change = on) =>
    decideVrfy({ ...sessionFacts(), argument, address: parseMailAddress(argument) }, examplePolicy(change))

  it('confirms nothing while disabled', () => {
    for (const argument of ['jane@example.org', 'nobody@example.org', 'x', ''])
      expect(saidBy(ask(argument, {}))).toBe('252 2.1.5 vrfyUnconfirmed')
  })

  it('tells the truth when enabled', () => {
    expect(ask('Jane@example.net').outcome).toEqual({
      kind: 'answer',
      replies: [{ reply: 'vrfyLocal', values: { address: 'jane@example.org' } }],
    })
    expect(saidBy(ask('<jane@example.org>'))).toBe('250 2.1.5 vrfyLocal')
    expect(saidBy(ask('jane'))).toBe('250 2.1.5 vrfyLocal')
    expect(saidBy(ask('all@example.org'))).toBe('250 2.1.5 vrfyLocal')
    expect(saidBy(ask('postmaster'))).toBe('250 2.1.5 vrfyLocal')
    expect(saidBy(ask('nobody@example.org'))).toBe('550 5.1.1 vrfyUnknown')
    expect(saidBy(ask('two words'))).toBe('550 5.1.1 vrfyUnknown')
    expect(saidBy(ask('eve@remote.example'))).toBe('252 2.1.5 vrfyUnconfirmed')
  })

  it('says where an alias leads to a remote address', () => {
    const verdict = ask('away@example.org', { ...on, aliases: { 'away@example.org': ['jane@elsewhere.example'] } })
    expect(saidBy(verdict)).toBe('251 2.1.5 vrfyForwarded')
    expect(verdict.outcome).toMatchObject({ replies: [{ values: { address: 'jane@elsewhere.example' } }] })
  })

  it('refuses an alias that leads nowhere, as RCPT does', () => {
    const change = { ...on, aliases: { 'dead@example.org': ['gone@example.org'] } }
    expect(saidBy(ask('dead@example.org', change))).toBe('550 5.1.1 vrfyUnknown')
  })

  it('confirms nothing about users that only a catch-all or the default mail host knows', () => {
    expect(
      saidBy(ask('nobody@example.org', { ...on, domains: [{ name: 'example.org', catchAll: 'jane@example.org' }] })),
    ).toBe('252 2.1.5 vrfyUnconfirmed')
  })

  it('agrees with RCPT about a catch-all that leads nowhere, and a domain that takes anybody', () => {
    const nowhere = { ...on, domains: [{ name: 'example.org', catchAll: 'gone@example.org' }] }
    expect(saidBy(ask('nobody@example.org', nowhere))).toBe('550 5.1.1 vrfyUnknown')
    const any = { name: 'example.org', route: { type: 'discard' as const }, verifyRecipients: 'any' as const }
    expect(saidBy(ask('nobody@example.org', { ...on, domains: [any] }))).toBe('252 2.1.5 vrfyUnconfirmed')
  })
})
