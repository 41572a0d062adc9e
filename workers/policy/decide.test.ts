import type { Rule } from '@postern/contract/rules.ts'
import type { SecuritySettings } from '@postern/contract/settings.ts'
import { describe, expect, it } from 'vitest'
import * as decisions from './decide.ts'
import { connectFacts, examplePolicy, mailFacts, rcptFacts, saidBy, sessionFacts } from './test/example.ts'

const { decideConnect, decideMail, decideRcpt } = decisions

describe('watch mode', () => {
  const watch = (rule: Rule) => ({ security: { watch: [rule] as SecuritySettings['watch'] } })

  it('goes on to the next rule', () => {
    const change = { settings: watch('control-access'), lists: { 'control-access': ['198.51.100.7'] } }
    expect(decideConnect({ ...connectFacts(), sessionsOpen: 1e9 }, examplePolicy(change))).toMatchObject({
      rule: 'concurrent-sessions',
      trail: [{ said: 'watched' }, { said: 'decided' }],
    })
  })

  it('is nothing for a rule that is never watched', () => {
    for (const rule of ['sender-syntax', 'spool-full'] as const) {
      const facts = rule === 'spool-full' ? mailFacts({ spool: 'full' }) : mailFacts({ senderText: 'x', sender: null })
      expect(decideMail(facts, examplePolicy({ settings: watch(rule) }))).toEqual(decideMail(facts, examplePolicy()))
      expect(decideMail(facts, examplePolicy()).rule).toBe(rule)
    }
  })

  it('still knows where the mail goes when unknown recipients are only watched', () => {
    const change = { settings: watch('unknown-recipient') }
    expect(decideRcpt(rcptFacts({ recipientText: 'nobody@example.net' }), examplePolicy(change)).recipients).toEqual([
      { address: 'nobody@example.org', original: 'nobody@example.net' },
    ])
  })
})

describe('a verdict', () => {
  it('is shared where nothing was said, and carries revision, rule and trail', () => {
    const policy = examplePolicy()
    const verdict = decideConnect(connectFacts(), policy)
    expect(decideConnect(connectFacts(), policy)).toBe(verdict)
    expect(verdict).toMatchObject({
      stage: 'connect',
      outcome: { kind: 'proceed' },
      rule: 'accept',
      reason: 'accepted',
      revision: 7,
    })
    expect(verdict.trail.map(({ rule, said }) => `${rule} ${said}`)).toEqual([
      'control-access passed',
      'concurrent-sessions passed',
      'connections-per-address passed',
      'connection-rate passed',
      'pregreet passed',
      'dnsbl passed',
      'reverse-dns passed',
      'accept decided',
    ])
  })

  it('shows nothing a stranger sent that could draw on a screen', () => {
    const facts = mailFacts({ senderText: `x\u001b[2J\r\n\u202e${'y'.repeat(2000)}`, sender: null })
    const { explanation, trail } = decideMail(facts, examplePolicy())
    for (const text of [explanation[0], trail.at(-1)?.because]) {
      expect(text).toMatch(/^MAIL FROM:<x\?\[2J\?\?\?y+$/)
      expect(text?.length).toBeLessThanOrEqual(500)
    }
  })

  it('answers VRFY and EXPN whatever the settings', () => {
    for (const disabled of [true, false]) {
      const policy = examplePolicy({ settings: { security: { disableVrfy: disabled, disableExpn: disabled } } })
      for (const decide of [decisions.decideVrfy, decisions.decideExpn])
        expect(saidBy(decide({ ...sessionFacts(), argument: '', address: null }, policy))).not.toBe('proceed')
    }
  })
})
