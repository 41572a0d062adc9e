import { describe, expect, it } from 'vitest'
import { decideRcpt } from '../decide.ts'
import { type Change, examplePolicy, rcptFacts, saidBy } from '../example.ts'

describe('unknown-recipient', () => {
  const ask = (recipientText: string, change: Change = {}, facts = {}) =>
    decideRcpt(rcptFacts({ recipientText, ...facts }), examplePolicy(change))
  const to = (recipientText: string, change: Change = {}) =>
    ask(recipientText, change).recipients.map(({ address }) => address)
  const unknown = '550 5.1.1 userUnknown'

  it('knows accounts: in any case, with a box, under every name of the domain', () => {
    for (const recipient of [
      'jane@example.org',
      'JANE@Example.ORG',
      'jane+lists@example.net',
      '"jane"@example.org',
      'jane@example.org.',
    ])
      expect(ask(recipient).recipients).toEqual([{ address: 'jane@example.org', original: recipient }])
    expect(saidBy(ask('jane+lists@example.org', { settings: { advanced: { mailboxDelimiter: '' } } }))).toBe(unknown)
    expect(to('jane=x@example.org', { settings: { advanced: { mailboxDelimiter: '=' } } })).toEqual([
      'jane@example.org',
    ])
  })

  it('does not know others', () => {
    for (const recipient of [
      'nobody@example.org',
      '+jane@example.org',
      '"a@remote.example"@example.org',
      'jane%remote.example@example.org',
      'remote.example!jane@example.org',
    ])
      expect(saidBy(ask(recipient))).toBe(unknown)
  })

  it('follows aliases and groups to the end and keeps each recipient once', () => {
    const change = {
      aliases: {
        'a@example.org': ['b@example.org', 'jane@example.net'],
        'b@example.org': ['all@example.org', 'out@remote.example'],
      },
    }
    expect(ask('a@example.org', change)).toMatchObject({ relayed: false })
    expect(to('a@example.org', change)).toEqual(['jane@example.org', 'bob@example.org', 'out@remote.example'])
    expect(to('all@example.org')).toEqual(['jane@example.org', 'bob@example.org'])
  })

  it('takes an alias that names itself for the account of that name', () => {
    expect(
      to('jane@example.org', { aliases: { 'jane@example.org': ['jane@example.org', 'copy@remote.example'] } }),
    ).toEqual(['jane@example.org', 'copy@remote.example'])
  })

  it('refuses a loop and shows it', () => {
    const aliases = { 'a@example.org': ['b@example.org'], 'b@example.org': ['a@example.net'] }
    const verdict = ask('a@example.org', { aliases })
    expect(saidBy(verdict)).toBe('550 5.4.6 aliasLoop')
    expect(verdict.explanation[0]).toContain('a@example.org → b@example.org → a@example.org')
    expect(verdict.recipients).toEqual([])
  })

  it('leaves out members that do not exist, unless nobody remains', () => {
    expect(to('g@example.org', { groups: { 'g@example.org': ['gone@example.org', 'bob@example.org'] } })).toEqual([
      'bob@example.org',
    ])
    expect(saidBy(ask('g@example.org', { groups: { 'g@example.org': ['gone@example.org'] } }))).toBe(unknown)
  })

  it('gives unknown users to the catch-all, then to the default mail host', () => {
    const caught = (catchAll: string) => ({ domains: [{ name: 'example.org', catchAll }] })
    expect(to('nobody@example.org', caught('bob@example.org'))).toEqual(['bob@example.org'])
    expect(to('nobody@example.org', caught('all@example.org'))).toEqual(['jane@example.org', 'bob@example.org'])
    expect(to('nobody@example.org', caught('box@remote.example'))).toEqual(['box@remote.example'])
    expect(to('jane@example.org', caught('bob@example.org'))).toEqual(['jane@example.org'])
    expect(saidBy(ask('nobody@example.org', caught('gone@example.org')))).toBe(unknown)
    const general = { defaultMailHost: 'mail2.example.org:26' }
    expect(ask('Nobody@example.net', { settings: { general } }).recipients).toEqual([
      { address: 'Nobody@example.org', original: 'Nobody@example.net', via: 'mail2.example.org:26' },
    ])
    expect(to('nobody@example.org', { ...caught('bob@example.org'), settings: { general } })).toEqual([
      'bob@example.org',
    ])
  })

  it('always takes mail for postmaster', () => {
    for (const recipient of ['postmaster', 'Postmaster@example.org', 'POSTMASTER@example.net', 'postmaster@mx1'])
      expect(to(recipient)).toEqual(['postmaster@example.org'])
    expect(to('postmaster', { aliases: { 'postmaster@example.org': ['bob@example.org'] } })).toEqual([
      'bob@example.org',
    ])
    expect(to('postmaster', { domains: [{ name: 'example.org', catchAll: 'jane@example.org' }] })).toEqual([
      'jane@example.org',
    ])
    expect(to('postmaster', { settings: { general: { defaultMailHost: 'mail2.example.org' } } })).toEqual([
      'postmaster@example.org',
    ])
    const two = [{ name: 'b.example' }, { name: 'a.example' }]
    expect(to('postmaster', { domains: two })).toEqual(['postmaster@a.example'])
    expect(to('postmaster', { domains: two, settings: { general: { hostname: 'mx.b.example' } } })).toEqual([
      'postmaster@b.example',
    ])
    expect(saidBy(ask('postmaster', { domains: [] }))).toBe('501 5.1.3 recipientSyntax')
  })

  it('knows our own address literal, and only that', () => {
    const at = (recipientText: string) => ask(recipientText, {}, { local: '192.0.2.25' })
    expect(at('jane@[192.0.2.25]').recipients).toMatchObject([{ address: 'jane@example.org' }])
    expect(at('postmaster@[192.0.2.25]').recipients).toMatchObject([{ address: 'postmaster@example.org' }])
    expect(saidBy(at('jane@[192.0.2.26]'))).toBe('550 5.7.1 relayDenied')
    expect(saidBy(ask('jane@[192.0.2.25]'))).toBe('550 5.7.1 relayDenied')
  })

  it('does not take forever for aliases that branch at every step', () => {
    const aliases = Object.fromEntries(
      Array.from({ length: 40 }, (_, i) => [`a${i}@example.org`, [`a${i + 1}@example.org`, `a${i + 1}@example.net`]]),
    )
    aliases['a40@example.org'] = ['jane@example.org']
    expect(to('a0@example.org', { aliases })).toEqual(['jane@example.org'])
  })

  it('gives up beyond its limits', () => {
    const deep = Object.fromEntries(
      Array.from({ length: 60 }, (_, i) => [`a${i}@example.org`, [`a${i + 1}@example.org`]]),
    )
    expect(saidBy(ask('a0@example.org', { aliases: deep }))).toBe('550 5.4.6 aliasLoop')
  })
})
