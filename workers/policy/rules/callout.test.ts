import { describe, expect, it } from 'vitest'
import { decideRcpt, decideVrfy } from '../decide.ts'
import { examplePolicy, rcptFacts, saidBy, sessionFacts } from '../test/example.ts'

describe('callout', () => {
  const route = { type: 'smtp', host: 'mail.example.org', port: 2525, tls: 'none' } as const
  const domains = [
    { name: 'example.org', route, verifyRecipients: 'callout' as const },
    { name: 'caught.example', route, verifyRecipients: 'callout' as const, catchAll: 'jane@example.org' },
  ]
  const policy = examplePolicy({ domains, settings: { general: { defaultMailHost: 'other.example' } } })
  const ask = (recipientText: string, callout?: 'exists' | 'unknown' | 'not-known', given = policy) =>
    decideRcpt(rcptFacts({ recipientText, ...(callout ? { lookups: { callout } } : {}) }), given)

  it('takes whom the host knows, to the domain’s own route', () => {
    const verdict = ask('Zoe@example.org', 'exists')
    expect(saidBy(verdict)).toBe('proceed')
    expect(verdict.recipients).toEqual([{ address: 'Zoe@example.org', original: 'Zoe@example.org' }])
  })

  it('refuses whom it refuses, and puts off while it is silent', () => {
    expect(saidBy(ask('zoe@example.org', 'unknown'))).toBe('550 5.1.1 userUnknown')
    expect(saidBy(ask('zoe@example.org', 'not-known'))).toBe('451 4.4.1 recipientNotVerified')
    expect(ask('zoe@example.org', 'unknown').explanation[0]).toContain('mail.example.org:2525 refuses zoe@example.org')
  })

  it('never refuses postmaster: whom the host does not know is read here', () => {
    const settings = { general: { postmaster: 'ops@remote.example' } }
    const reading = examplePolicy({ domains, settings })
    const to = (callout: 'exists' | 'unknown' | 'not-known') =>
      ask('Postmaster@example.org', callout, reading).recipients.map(({ address }) => address)
    expect(to('exists')).toEqual(['Postmaster@example.org'])
    expect(to('unknown')).toEqual(['ops@remote.example'])
    expect(to('not-known')).toEqual(['ops@remote.example'])
  })

  it('says that it was not asked', () => {
    expect(ask('zoe@example.org').trail.find(({ rule }) => rule === 'callout')).toMatchObject({
      rule: 'callout',
      said: 'not-known',
    })
  })

  it('is not needed for what the directory knows, postmaster, a catch-all, or other domains', () => {
    for (const address of ['jane@example.org', 'sales@example.org', 'postmaster@example.org', 'zoe@caught.example'])
      expect(saidBy(ask(address, 'unknown')), address).toBe('proceed')
    expect(saidBy(ask('zoe@example.org', 'unknown', examplePolicy()))).toBe('550 5.1.1 userUnknown')
    expect(saidBy(ask('jane@example.org', 'unknown', examplePolicy()))).toBe('proceed')
  })

  it('only watched, decides nothing', () => {
    const watching = examplePolicy({ domains, settings: { security: { watch: ['callout'] } } })
    const verdict = ask('zoe@example.org', 'unknown', watching)
    expect(saidBy(verdict)).toBe('proceed')
    expect(verdict.trail.find(({ rule }) => rule === 'callout')).toMatchObject({ rule: 'callout', said: 'watched' })
  })

  it('VRFY confirms nothing about such a domain', () => {
    const asking = examplePolicy({ domains, settings: { security: { disableVrfy: false } } })
    expect(saidBy(decideVrfy({ ...sessionFacts(), argument: '<zoe@example.org>', address: null }, asking))).toContain(
      '252',
    )
  })
})
