import type { Lookups } from '@postern/contract/lookups.ts'
import { describe, expect, it } from 'vitest'
import { decideMail } from '../decide.ts'
import { examplePolicy, mailFacts, saidBy } from '../test/example.ts'

describe('sender-domain', () => {
  const decide = (
    checkSenderDomain: 'off' | 'mark' | 'reject',
    senderDomain?: Lookups['senderDomain'],
    { senderText = 'eve@remote.example', white = [] as string[] } = {},
  ) =>
    decideMail(
      mailFacts({ senderText, ...(senderDomain && { lookups: { senderDomain } }) }),
      examplePolicy({ settings: { security: { checkSenderDomain } }, lists: { white } }),
    )
  const step = (verdict: ReturnType<typeof decide>) => verdict.trail.find(({ rule }) => rule === 'sender-domain')?.said

  it('refuses, for good or for now', () => {
    expect(saidBy(decide('reject', 'none'))).toBe('550 5.1.8 senderDomainUnknown')
    expect(saidBy(decide('reject', 'null-mx'))).toBe('550 5.7.27 senderDomainNullMx')
    expect(saidBy(decide('reject', 'not-known'))).toBe('451 4.4.3 senderDomainNotKnown')
    expect(saidBy(decide('reject', 'mail'))).toBe('proceed')
  })

  it('lacks the fact when it was not asked', () => {
    expect(step(decide('reject'))).toBe('not-known')
    expect(step(decide('mark'))).toBe('passed')
    expect(step(decide('mark', 'not-known'))).toBe('not-known')
  })

  it.each(['', 'jane@example.org', 'jane@EXAMPLE.net', 'eve@[192.0.2.1]', 'eve@[IPv6:2001:db8::1]'])(
    'has nothing to ask about <%s>',
    (senderText) => {
      expect(step(decide('reject', undefined, { senderText }))).toBe('passed')
    },
  )

  it('marks, is off, and leaves the White List alone', () => {
    expect(step(decide('mark', 'none'))).toBe('watched')
    expect(step(decide('mark', 'null-mx'))).toBe('watched')
    expect(step(decide('off', 'none'))).toBe('passed')
    expect(step(decide('reject', 'none', { white: ['198.51.100.7'] }))).toBe('exempt')
  })
})
