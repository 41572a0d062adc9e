import type { Route } from '@postern/contract/directory.ts'
import { describe, expect, it } from 'vitest'
import { decideRcpt } from '../decide.ts'
import { type Change, examplePolicy, rcptFacts, saidBy } from '../test/example.ts'

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

  it('never refuses the good members for a bad one', () => {
    const groups = (members: string[]) => ({
      groups: { 'g@example.org': members, 'h@example.org': ['g@example.org', 'jane@example.org'] },
      aliases: { 'a@example.org': ['b@example.org'], 'b@example.org': ['a@example.org'] },
    })
    for (const bad of ['g@example.org', 'a@example.org', 'gone@example.org', 'h@example.org'])
      for (const members of [
        [bad, 'bob@example.org'],
        ['bob@example.org', bad],
      ])
        expect(to('g@example.org', groups(members)), bad).toContain('bob@example.org')
    const verdict = ask('g@example.org', groups(['gone@example.org', 'a@example.org', 'bob@example.org']))
    expect(verdict.explanation[0]).toContain('gone@example.org is not in the directory.')
    expect(verdict.explanation[0]).toContain('a@example.org → b@example.org → a')
    // A group that lists nobody but itself has no good member.
    expect(saidBy(ask('g@example.org', groups(['g@example.org'])))).toBe('550 5.4.6 aliasLoop')
  })

  it('accepts everybody in a domain whose verifyRecipients is any, except with the route maildir', () => {
    const any = (route: Route, catchAll = '') => ({
      domains: [
        { name: 'any.example', aliases: ['also.example'], route, catchAll, verifyRecipients: 'any' as const },
        { name: 'example.org', catchAll: 'somebody@any.example' },
      ],
      aliases: { 'sales@example.org': ['team@any.example'] },
    })
    for (const route of [
      { type: 'smtp', host: 'mail.example.org', port: 25, tls: 'none' },
      { type: 'lmtp', host: 'mail.example.org', port: 24 },
      { type: 'webhook', url: 'https://hook.example/' },
      { type: 's3', bucket: 'mails', prefix: '' },
      { type: 'discard' },
    ] as const) {
      expect(to('Zoe+box@also.example', any(route))).toEqual(['Zoe+box@any.example'])
      expect(to('postmaster@any.example', any(route))).toEqual(['postmaster@any.example'])
      expect(to('sales@example.org', any(route))).toEqual(['team@any.example'])
      expect(to('nobody@example.org', any(route))).toEqual(['somebody@any.example'])
      expect(to('zoe@any.example', any(route, 'jane@example.org'))).toEqual(['jane@example.org'])
      expect(to('zoe@any.example', any(route, 'gone@any.example'))).toEqual(['gone@any.example'])
    }
    expect(saidBy(ask('zoe@any.example', any({ type: 'maildir' })))).toBe(unknown)
  })

  it('keeps a copy and forwards, or only forwards', () => {
    const forwarding = (forwardTo: string[], keepCopy = true) => ({
      accounts: [{ address: 'jane@example.org', forwardTo, keepCopy }, 'bob@example.org'],
    })
    expect(ask('jane+box@example.org', forwarding(['bob@example.org', 'out@remote.example'])).recipients).toEqual([
      { address: 'jane@example.org', original: 'jane+box@example.org' },
      { address: 'bob@example.org', original: 'jane+box@example.org', forwardedBy: 'jane@example.org' },
      { address: 'out@remote.example', original: 'jane+box@example.org', forwardedBy: 'jane@example.org' },
    ])
    expect(to('jane@example.org', forwarding(['out@remote.example'], false))).toEqual(['out@remote.example'])
    expect(to('jane@example.org', forwarding(['jane@example.org', 'out@remote.example'], false))).toEqual([
      'jane@example.org',
      'out@remote.example',
    ])
    // Mail is never lost between them.
    for (const bad of [['gone@example.org'], ['a@example.org']])
      expect(
        to('jane@example.org', { ...forwarding(bad, false), aliases: { 'a@example.org': ['a@example.org'] } }),
      ).toEqual(['jane@example.org'])
    const circle = {
      accounts: [
        { address: 'jane@example.org', forwardTo: ['bob@example.org'], keepCopy: false },
        { address: 'bob@example.org', forwardTo: ['jane@example.org'], keepCopy: false },
      ],
    }
    expect(to('jane@example.org', circle)).toEqual(['jane@example.org'])
    expect(to('all@example.org', circle)).toHaveLength(1)
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

  it('always takes mail for postmaster, and gives it to somebody who reads it', () => {
    const general = { postmaster: 'jane@example.org' }
    for (const recipient of ['postmaster', 'Postmaster@example.org', 'POSTMASTER@example.net', 'postmaster@mx1'])
      expect(to(recipient, { settings: { general } })).toEqual(['jane@example.org'])
    expect(to('postmaster', { settings: { general }, accounts: ['postmaster@example.org'] })).toEqual([
      'postmaster@example.org',
    ])
    const set = { settings: { general } }
    expect(to('postmaster', { ...set, aliases: { 'postmaster@example.org': ['bob@example.org'] } })).toEqual([
      'bob@example.org',
    ])
    expect(to('postmaster', { ...set, domains: [{ name: 'example.org', catchAll: 'bob@example.org' }] })).toEqual([
      'bob@example.org',
    ])
    // A catch-all that leads nowhere keeps nobody from reading it.
    expect(to('postmaster', { ...set, domains: [{ name: 'example.org', catchAll: 'gone@example.org' }] })).toEqual([
      'jane@example.org',
    ])
    expect(to('postmaster', { settings: { general: { postmaster: 'ops@remote.example' } } })).toEqual([
      'ops@remote.example',
    ])
  })

  it('finds another reader where general.postmaster is empty or leads to nobody', () => {
    for (const postmaster of ['', 'gone@example.org', 'postmaster@example.org', 'postmaster@example.net']) {
      const general = { postmaster }
      expect(to('postmaster', { settings: { general } }), postmaster).toEqual(['bob@example.org'])
      expect(
        ask('postmaster', { settings: { general: { ...general, defaultMailHost: 'mail2.example.org' } } }).recipients,
      ).toMatchObject([{ address: expect.stringMatching(/@example\.org$/), via: 'mail2.example.org' }])
    }
    const accounts = [{ address: 'ann@example.org', disabled: true }, 'zoe@other.example']
    const domains = [{ name: 'example.org' }, { name: 'other.example' }]
    expect(to('postmaster@example.org', { accounts, domains })).toEqual(['zoe@other.example'])
    expect(saidBy(ask('postmaster@example.org', { accounts: [] }))).toBe(unknown)
  })

  it('gives postmaster of a routed domain to general.postmaster, or else to its route', () => {
    for (const route of [
      { type: 'smtp', host: 'mail.example.org', port: 25, tls: 'none' },
      { type: 'lmtp', host: 'mail.example.org', port: 24 },
      { type: 'webhook', url: 'https://hook.example/' },
    ] as const) {
      const domains = [{ name: 'example.org', route }]
      expect(to('postmaster', { domains, settings: { general: { postmaster: 'ops@remote.example' } } })).toEqual([
        'ops@remote.example',
      ])
      expect(to('postmaster', { domains })).toEqual(['postmaster@example.org'])
    }
    const discard = [{ name: 'example.org', route: { type: 'discard' as const } }]
    expect(to('postmaster', { domains: discard })).toEqual(['bob@example.org'])
  })

  it('postmaster without a domain belongs to the domain of the host name', () => {
    const two = [{ name: 'b.example' }, { name: 'a.example' }]
    const accounts = ['postmaster@a.example', 'postmaster@b.example']
    expect(to('postmaster', { domains: two, accounts })).toEqual(['postmaster@a.example'])
    expect(to('postmaster', { domains: two, accounts, settings: { general: { hostname: 'mx.b.example' } } })).toEqual([
      'postmaster@b.example',
    ])
    expect(saidBy(ask('postmaster', { domains: [], accounts: [] }))).toBe('501 5.1.3 recipientSyntax')
    const general = { postmaster: 'ops@remote.example', hostname: 'mx.example' }
    for (const recipient of ['postmaster', 'postmaster@mx.example'])
      expect(to(recipient, { domains: [], accounts: [], settings: { general } })).toEqual(['ops@remote.example'])
  })

  it('knows our own address literal, and only that', () => {
    const at = (recipientText: string) => ask(recipientText, {}, { local: '192.0.2.25' })
    expect(at('jane@[192.0.2.25]').recipients).toMatchObject([{ address: 'jane@example.org' }])
    expect(at('postmaster@[192.0.2.25]').recipients).toMatchObject([{ address: 'bob@example.org' }])
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
