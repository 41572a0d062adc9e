import { describe, expect, it } from 'vitest'
import { decideConnect } from '../decide.ts'
import { connectFacts, examplePolicy, saidBy } from '../test/example.ts'

describe('pregreet', () => {
  const delayed = { settings: { security: { greetingDelaySeconds: 5 } } }
  const talked = connectFacts({ lookups: { pregreet: true } })

  it('refuses who talked first, with a delay and without', () => {
    expect(saidBy(decideConnect(talked, examplePolicy(delayed)))).toBe('554 5.5.1 pregreet close')
    expect(saidBy(decideConnect(talked, examplePolicy()))).toBe('554 5.5.1 pregreet close')
  })

  it('lets in who talked when neither a delay nor autoDenyHackAttempts asks', () => {
    const off = examplePolicy({ settings: { security: { autoDenyHackAttempts: false } } })
    expect(saidBy(decideConnect(talked, off))).toBe('proceed')
  })

  it('lets in who waited, and lacks the fact only when there is a delay', () => {
    const waited = connectFacts({ lookups: { pregreet: false } })
    expect(decideConnect(waited, examplePolicy(delayed)).trail).toContainEqual({ rule: 'pregreet', said: 'passed' })
    expect(decideConnect(connectFacts(), examplePolicy()).trail).toContainEqual({ rule: 'pregreet', said: 'passed' })
    const unknown = decideConnect(connectFacts(), examplePolicy(delayed))
    expect(saidBy(unknown)).toBe('proceed')
    expect(unknown.trail).toContainEqual(expect.objectContaining({ rule: 'pregreet', said: 'not-known' }))
  })

  it('does not ask the White List', () => {
    const white = examplePolicy({ ...delayed, lists: { white: ['198.51.100.7'] } })
    expect(saidBy(decideConnect(talked, white))).toBe('proceed')
    expect(decideConnect(connectFacts(), white).trail).toContainEqual(
      expect.objectContaining({ rule: 'pregreet', said: 'exempt' }),
    )
  })
})
