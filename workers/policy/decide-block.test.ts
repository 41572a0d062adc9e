import { defaultSettings, type Settings } from '@postern/contract/settings.ts'
import { describe, expect, it } from 'vitest'
import { type BlockFacts, blockLimits, decideBlock, type Seen } from './decide-block.ts'
import { noon } from './test/example.ts'

function settings(change: { [group in keyof Settings]?: Partial<Settings[group]> } = {}): Settings {
  const all = defaultSettings()
  return {
    ...all,
    harvesting: { ...all.harvesting, ...change.harvesting },
    dictionary: { ...all.dictionary, ...change.dictionary },
    security: { ...all.security, ...change.security },
  }
}
const minutesAgo = (minutes: number, kind: Seen['kind'], count = 1): Seen => ({
  kind,
  count,
  at: noon - minutes * 60_000,
  evidence: [`${kind}, ${minutes} minutes ago`],
})
const facts = (...offences: Seen[]): BlockFacts => ({ now: noon, address: '192.0.2.7', offences })

describe('failed logins', () => {
  it('the limit blocks, one less does not', () => {
    expect(decideBlock(facts(minutesAgo(1, 'failed-login', 4)), settings()).block).toBe(false)
    expect(decideBlock(facts(minutesAgo(1, 'failed-login', 5)), settings())).toEqual({
      block: true,
      kind: 'failed-login',
      createdBy: 'system:harvesting',
      entry: {
        value: '192.0.2.7',
        action: 'deny',
        expiresAt: '2026-11-22T12:30:00.000Z',
        reason: '5 failed logins within 10 minutes; the limit is 5',
        evidence: ['2026-11-22T11:59:00.000Z failed-login, 1 minutes ago'],
      },
    })
  })

  it('what was counted in the future, before the clock was set back, counts no more', () => {
    expect(decideBlock(facts(minutesAgo(-60, 'failed-login', 5)), settings()).block).toBe(false)
    expect(decideBlock(facts(minutesAgo(-525_600, 'failed-login', 5)), settings()).block).toBe(false)
  })

  it('only those within the sliding window count', () => {
    const seen = [11, 10, 9, 5, 1].map((minutes) => minutesAgo(minutes, 'failed-login'))
    expect(decideBlock(facts(...seen), settings({ harvesting: { maxFailedLogins: 4 } })).block).toBe(false)
    expect(decideBlock(facts(...seen), settings({ harvesting: { maxFailedLogins: 3 } })).block).toBe(true)
  })

  it('switched off they count for nothing', () => {
    const off = settings({ harvesting: { enabled: false } })
    expect(decideBlock(facts(minutesAgo(0, 'failed-login', 999)), off).block).toBe(false)
    expect(blockLimits(off).has('failed-login')).toBe(false)
  })

  it('the newest evidence comes first, and not more than twenty sentences', () => {
    const seen = Array.from({ length: 30 }, (_, i) => minutesAgo(9 - i / 10, 'failed-login'))
    const verdict = decideBlock(facts(...seen), settings())
    if (!verdict.block) throw new Error(verdict.because)
    expect(verdict.entry.evidence).toHaveLength(20)
    const sorted = [...(verdict.entry.evidence ?? [])].sort().reverse()
    expect(verdict.entry.evidence).toEqual(sorted)
  })
})

describe('unknown recipients', () => {
  const guarded = { maxInvalidRecipients: 3, windowMinutes: 60, blockMinutes: 15 }

  it('block over sessions where there is a window and a time to block', () => {
    const verdict = decideBlock(facts(minutesAgo(59, 'invalid-recipient', 3)), settings({ dictionary: guarded }))
    expect(verdict).toMatchObject({
      block: true,
      createdBy: 'system:dictionary',
      entry: { expiresAt: '2026-11-22T12:15:00.000Z' },
    })
  })

  it.each([{ maxInvalidRecipients: 0 }, { windowMinutes: 0 }, { blockMinutes: 0 }])('not with %j', (change) => {
    const dictionary = { ...guarded, ...change }
    expect(decideBlock(facts(minutesAgo(0, 'invalid-recipient', 99)), settings({ dictionary })).block).toBe(false)
  })
})

it('a session past an error limit blocks where blockMinutes says so', () => {
  const seen = facts(minutesAgo(0, 'error-limit'))
  expect(decideBlock(seen, settings()).block).toBe(false)
  const verdict = decideBlock(seen, settings({ dictionary: { blockMinutes: 5 } }))
  expect(verdict).toMatchObject({ block: true, entry: { reason: 'A session above an error limit' } })
})

it('one hack attempt is enough, and counts before all else', () => {
  const seen = facts(minutesAgo(0, 'failed-login', 99), minutesAgo(0, 'hack-attempt'))
  expect(decideBlock(seen, settings())).toMatchObject({
    kind: 'hack-attempt',
    createdBy: 'system:security',
    entry: { expiresAt: '2026-11-22T13:00:00.000Z' },
  })
  const off = settings({ security: { autoDenyHackAttempts: false }, harvesting: { enabled: false } })
  expect(decideBlock(seen, off).block).toBe(false)
})

it('who is exempt is never blocked, and the reason is given', () => {
  const seen = { ...facts(minutesAgo(0, 'hack-attempt')), exempt: 'it is in the White List' }
  expect(decideBlock(seen, settings())).toEqual({
    block: false,
    because: '192.0.2.7 is never blocked: it is in the White List.',
  })
})
