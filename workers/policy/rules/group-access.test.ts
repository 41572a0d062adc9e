import { describe, expect, it } from 'vitest'
import { decideRcpt } from '../decide.ts'
import { examplePolicy, rcptFacts, saidBy } from '../test/example.ts'

describe('group-access', () => {
  const policy = examplePolicy({
    settings: { security: { allowRemoteMailToGroups: false } },
    lists: { relay: ['192.0.2.0/24'] },
    groups: { 'all@example.org': ['jane@example.org'], 'postmaster@example.org': ['bob@example.org'] },
    aliases: { 'public@example.org': ['all@example.org'] },
  })
  const ask = (recipientText: string, facts = {}) => saidBy(decideRcpt(rcptFacts({ recipientText, ...facts }), policy))

  it('keeps strangers away from groups', () => {
    expect(ask('all@example.org')).toBe('550 5.7.2 groupDenied')
    expect(ask('ALL+x@example.net')).toBe('550 5.7.2 groupDenied')
    expect(saidBy(decideRcpt(rcptFacts({ recipientText: 'all@example.org' }), examplePolicy()))).toBe('proceed')
  })

  it('lets logins and local clients through', () => {
    expect(ask('all@example.org', { login: 'jane@example.org' })).toBe('proceed')
    expect(ask('all@example.org', { ip: '192.0.2.9' })).toBe('proceed')
  })

  it('is no matter to others, to an alias that the administrator has set, and to postmaster', () => {
    for (const recipient of ['jane@example.org', 'public@example.org', 'postmaster@example.org', 'postmaster'])
      expect(ask(recipient)).toBe('proceed')
  })
})
