import { describe, expect, it } from 'vitest'
import { decideData } from '../decide.ts'
import { dataFacts, examplePolicy, saidBy } from '../test/example.ts'

const settings = { general: { verifyDkim: 'enforce' } } as const
const step = (verdict: ReturnType<typeof decideData>) => verdict.trail.find(({ rule }) => rule === 'dkim')

describe('dkim', () => {
  it('never refuses: a signature that does not hold counts as none, and the trail says so', () => {
    for (const result of ['fail', 'policy', 'neutral', 'temperror', 'permerror'] as const) {
      const facts = dataFacts({ lookups: { dkim: [{ result, domain: 'remote.example', because: 'bad signature' }] } })
      const verdict = decideData(facts, examplePolicy({ settings }))
      expect(saidBy(verdict)).toBe('proceed')
      expect(step(verdict)).toMatchObject({
        said: 'watched',
        because: expect.stringContaining(`remote.example: ${result}`),
      })
    }
  })

  it('passes what is signed well, and what is not signed', () => {
    for (const result of ['pass', 'none'] as const) {
      const verdict = decideData(dataFacts({ lookups: { dkim: [{ result }] } }), examplePolicy({ settings }))
      expect(step(verdict)).toMatchObject({ said: 'passed' })
    }
  })

  it('wants to know, except of a client in the relay list', () => {
    expect(step(decideData(dataFacts(), examplePolicy({ settings })))).toMatchObject({ said: 'not-known' })
    const relayed = examplePolicy({ settings, lists: { relay: ['198.51.100.0/24'] } })
    expect(step(decideData(dataFacts(), relayed))).toMatchObject({ said: 'passed' })
  })
})
