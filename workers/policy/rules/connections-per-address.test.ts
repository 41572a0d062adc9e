import { describe, expect, it } from 'vitest'
import { decideConnect } from '../decide.ts'
import { connectFacts, examplePolicy, saidBy } from '../test/example.ts'

describe('connections-per-address', () => {
  const limited = { settings: { advanced: { maxConnectionsPerAddress: 2 } } }
  const many = connectFacts({ sessionsOpen: 9, sessionsFromAddress: 3 })

  it('counts the session that asks', () => {
    expect(saidBy(decideConnect({ ...many, sessionsFromAddress: 2 }, examplePolicy(limited)))).toBe('proceed')
    expect(saidBy(decideConnect(many, examplePolicy(limited)))).toBe('421 4.7.0 connectionsPerAddress close')
  })

  it('knows no limit at 0', () => {
    const policy = examplePolicy({ settings: { advanced: { maxConnectionsPerAddress: 0 } } })
    expect(saidBy(decideConnect({ ...many, sessionsFromAddress: 9999 }, policy))).toBe('proceed')
  })

  it('is not asked about the White List, and the trail says so', () => {
    const verdict = decideConnect(many, examplePolicy({ ...limited, lists: { white: ['198.51.100.1-198.51.100.9'] } }))
    expect(saidBy(verdict)).toBe('proceed')
    expect(verdict.trail).toContainEqual({
      rule: 'connections-per-address',
      said: 'exempt',
      because: '198.51.100.7 is in the White List.',
    })
  })
})
