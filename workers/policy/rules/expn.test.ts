import { parseMailAddress } from '@postern/contract/address.ts'
import { describe, expect, it } from 'vitest'
import { decideExpn } from '../decide.ts'
import { examplePolicy, saidBy, sessionFacts } from '../test/example.ts'

describe('expn', () => {
  const ask = (argument: string, security: { disableExpn?: boolean; allowRemoteViewOfGroups?: boolean }, facts = {}) =>
    decideExpn(
      { ...sessionFacts(), argument, address: parseMailAddress(argument), ...facts },
      examplePolicy({ settings: { security }, lists: { relay: ['192.0.2.0/24'] } }),
    )

  it('does not exist while disabled', () => {
    expect(saidBy(ask('all@example.org', {}))).toBe('502 5.5.1 expnDisabled')
  })

  it('shows members to who may see them', () => {
    const members = ['jane@example.org', 'bob@example.org'].map((address) => ({
      reply: 'expnMember',
      values: { address },
    }))
    for (const facts of [{ login: 'jane@example.org' }, { ip: '192.0.2.9' }])
      expect(ask('all@example.org', { disableExpn: false }, facts).outcome).toEqual({
        kind: 'answer',
        replies: members,
      })
    expect(ask('<all>', { disableExpn: false, allowRemoteViewOfGroups: true }).outcome).toEqual({
      kind: 'answer',
      replies: members,
    })
  })

  it('tells others nothing, not even which groups exist', () => {
    for (const argument of ['all@example.org', 'nobody@example.org'])
      expect(saidBy(ask(argument, { disableExpn: false }))).toBe('550 5.7.1 expnRefused')
  })

  it('knows only groups', () => {
    for (const argument of ['jane@example.org', 'eve@remote.example', '', 'sales@example.org'])
      expect(saidBy(ask(argument, { disableExpn: false, allowRemoteViewOfGroups: true }))).toBe('550 5.1.1 expnUnknown')
  })
})
