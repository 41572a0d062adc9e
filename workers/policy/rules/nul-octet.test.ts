import { describe, expect, it } from 'vitest'
import { decideData } from '../decide.ts'
import { dataFacts, examplePolicy, saidBy } from '../test/example.ts'

describe('nul-octet', () => {
  it('refuses, for the White List too, and the session goes on', () => {
    const policy = examplePolicy({ lists: { white: ['0.0.0.0/0'] } })
    expect(saidBy(decideData(dataFacts({ nulOctets: true }), policy))).toBe('554 5.6.0 nulOctet')
  })
})
