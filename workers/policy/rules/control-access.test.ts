import { describe, expect, it } from 'vitest'
import { decideConnect } from '../decide.ts'
import { type Change, connectFacts, examplePolicy, noon, saidBy } from '../test/example.ts'

describe('control-access', () => {
  const ask = (change: Change, ip = '198.51.100.7', now = noon) =>
    decideConnect(connectFacts({ ip, now }), examplePolicy(change))
  const denied = '554 5.7.1 accessDenied close'
  const byDefault = { settings: { security: { defaultAccess: 'denied' as const } } }

  it('lets everybody in who has no entry, when access is granted', () => {
    expect(saidBy(ask({}))).toBe('proceed')
    expect(saidBy(ask({ lists: { 'control-access': ['203.0.113.0/24'] } }))).toBe('proceed')
  })

  it('refuses an entry, names it, and closes', () => {
    const verdict = ask({ lists: { 'control-access': ['198.51.100.0/24'] } })
    expect(saidBy(verdict)).toBe(denied)
    expect(verdict).toMatchObject({ rule: 'control-access', reason: 'access-denied', revision: 7 })
    expect(verdict.explanation[0]).toContain('198.51.100.0/24')
    expect(verdict.trail).toEqual([{ rule: 'control-access', said: 'decided', because: verdict.explanation[0] }])
  })

  it('lets only entries in, when access is denied', () => {
    expect(saidBy(ask(byDefault))).toBe(denied)
    expect(saidBy(ask({ ...byDefault, lists: { 'control-access': ['198.51.100.7'] } }))).toBe('proceed')
  })

  it('lets the most specific entry win, with its own action', () => {
    const lists = {
      'control-access': [
        { value: '198.51.100.0/24', action: 'deny' as const },
        { value: '198.51.100.7', action: 'grant' as const },
      ],
    }
    expect(saidBy(ask({ lists }))).toBe('proceed')
    expect(saidBy(ask({ lists }, '198.51.100.8'))).toBe(denied)
    expect(saidBy(ask({ ...byDefault, lists }))).toBe('proceed')
  })

  it('forgets an entry at its end', () => {
    const lists = { 'control-access': [{ value: '198.51.100.7', expiresAt: '2026-11-22T12:00:00Z' }] }
    expect(saidBy(ask({ lists }, '198.51.100.7', noon - 1))).toBe(denied)
    expect(saidBy(ask({ lists }))).toBe('proceed')
  })

  it('holds for the White List too, and for IPv6', () => {
    expect(saidBy(ask({ lists: { white: ['198.51.100.7'], 'control-access': ['198.51.100.7'] } }))).toBe(denied)
    expect(saidBy(ask({ lists: { 'control-access': ['2001:db8::/32'] } }, '2001:db8::9'))).toBe(denied)
  })
})
