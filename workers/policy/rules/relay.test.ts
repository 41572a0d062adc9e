import { describe, expect, it } from 'vitest'
import { decideRcpt } from '../decide.ts'
import { type Change, examplePolicy, rcptFacts, saidBy } from '../test/example.ts'

describe('relay', () => {
  const recipientText = 'eve@remote.example'
  const modes = ['none', 'addresses', 'localUsers', 'localHosts', 'anyone'] as const
  /** The modes in which this client gets through. */
  const through = (facts: Parameters<typeof rcptFacts>[0], change: Change = {}) =>
    modes.filter((relayMode) => {
      const verdict = decideRcpt(
        rcptFacts({ recipientText, ...facts }),
        examplePolicy({ ...change, settings: { general: { relayMode } } }),
      )
      if (verdict.outcome.kind === 'proceed')
        expect(verdict).toMatchObject({ relayed: true, recipients: [{ address: recipientText }] })
      else expect(saidBy(verdict)).toBe('550 5.7.1 relayDenied')
      return verdict.outcome.kind === 'proceed'
    })

  it('lets a login relay in every mode', () => {
    expect(through({ login: 'jane@example.org' })).toEqual(modes)
  })

  it('lets strangers relay only where anyone may', () => {
    expect(through({ senderText: 'x@stranger.example' })).toEqual(['anyone'])
    expect(through({ senderText: '' })).toEqual(['anyone'])
  })

  it('addresses: goes by the relay list', () => {
    expect(through({ ip: '192.0.2.9' }, { lists: { relay: ['192.0.2.0/24'] } })).toEqual(['addresses', 'anyone'])
    expect(through({ ip: '2001:db8::9' }, { lists: { relay: ['2001:db8::/64'] } })).toEqual(['addresses', 'anyone'])
  })

  it('localUsers: the sender exists; localHosts: its domain is ours', () => {
    expect(through({ senderText: 'jane@example.org' })).toEqual(['localUsers', 'localHosts', 'anyone'])
    expect(through({ senderText: 'jane+box@example.net' })).toEqual(['localUsers', 'localHosts', 'anyone'])
    expect(through({ senderText: 'sales@example.org' })).toEqual(['localUsers', 'localHosts', 'anyone'])
    expect(through({ senderText: 'nobody@example.org' })).toEqual(['localHosts', 'anyone'])
    expect(through({ senderText: 'all@example.org' })).toEqual(['localHosts', 'anyone'])
    const accounts = [{ address: 'jane@example.org', disabled: true }]
    expect(through({ senderText: 'jane@example.org' }, { accounts })).toEqual(['localHosts', 'anyone'])
  })

  it('the Accept List counts as local in both: addresses, hosts, mailboxes, exactly', () => {
    const both = ['localUsers', 'localHosts', 'anyone']
    const lists = { accept: ['198.51.100.9', 'partner.example', 'one@other.example'] }
    expect(through({ ip: '198.51.100.9', senderText: '' }, { lists })).toEqual(both)
    expect(through({ senderText: 'any@partner.example' }, { lists })).toEqual(both)
    expect(through({ senderText: 'any@sub.partner.example' }, { lists })).toEqual(['anyone'])
    expect(through({ senderText: 'One@other.example' }, { lists })).toEqual(both)
    expect(through({ senderText: 'two@other.example' }, { lists })).toEqual(['anyone'])
  })

  it('the White List lets nobody relay', () => {
    expect(through({}, { lists: { white: ['0.0.0.0/0'] } })).toEqual(['anyone'])
  })

  it('says what is missing', () => {
    const { explanation } = decideRcpt(rcptFacts({ recipientText }), examplePolicy())
    expect(explanation[0]).toContain('general.relayMode is addresses: 198.51.100.7 is not in the relay list')
  })
})
