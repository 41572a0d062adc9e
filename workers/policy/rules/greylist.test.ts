import { describe, expect, it } from 'vitest'
import { decideRcpt } from '../decide.ts'
import { type Change, examplePolicy, noon, rcptFacts, saidBy } from '../test/example.ts'

describe('greylist', () => {
  const on: Change = { settings: { security: { greylist: { delaySeconds: 300, rememberDays: 35 } } } }
  const decide = (ago: number | undefined, { change = on, passed = false, login = '' } = {}) =>
    decideRcpt(
      rcptFacts({
        ...(ago !== undefined && { lookups: { greylist: { firstSeen: noon - ago * 1000, passed } } }),
        ...(login && { login }),
      }),
      examplePolicy(change),
    )
  const step = (verdict: ReturnType<typeof decide>) => verdict.trail.find(({ rule }) => rule === 'greylist')?.said

  it('asks to come again until the delay is over', () => {
    const first = decide(0)
    expect(saidBy(first)).toBe('451 4.7.1 greylist')
    expect(first.outcome).toMatchObject({ values: { seconds: 300 }, close: false })
    expect(decide(299.5).outcome).toMatchObject({ values: { seconds: 1 } })
    expect(saidBy(decide(300))).toBe('proceed')
    expect(saidBy(decide(0, { passed: true }))).toBe('proceed')
  })

  it('lacks the fact when it was not asked, and is off', () => {
    expect(step(decide(undefined))).toBe('not-known')
    expect(step(decide(0, { change: {} }))).toBe('passed')
  })

  it('leaves logins, the relay list and the White List alone', () => {
    expect(step(decide(0, { login: 'jane@example.org' }))).toBe('passed')
    expect(step(decide(0, { change: { ...on, lists: { relay: ['198.51.100.0/24'] } } }))).toBe('passed')
    expect(step(decide(0, { change: { ...on, lists: { white: ['198.51.100.0/24'] } } }))).toBe('exempt')
  })
})
