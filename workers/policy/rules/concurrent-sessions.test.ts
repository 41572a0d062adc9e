import { describe, expect, it } from 'vitest'
import { decideConnect } from '../decide.ts'
import { connectFacts, examplePolicy, saidBy } from '../test/example.ts'

describe('concurrent-sessions', () => {
  const policy = examplePolicy({ settings: { advanced: { maxThreads: 3 } }, lists: { white: ['0.0.0.0/0'] } })

  it('counts the session that asks', () => {
    expect(saidBy(decideConnect(connectFacts({ sessionsOpen: 3 }), policy))).toBe('proceed')
    expect(saidBy(decideConnect(connectFacts({ sessionsOpen: 4 }), policy))).toBe('421 4.3.2 tooManySessions close')
  })
})
