import { describe, expect, it } from 'vitest'
import { decideData } from '../decide.ts'
import { dataFacts, examplePolicy, saidBy } from '../test/example.ts'

describe('mail-loop', () => {
  it('lets a hundred hops pass and no more', () => {
    expect(saidBy(decideData(dataFacts({ hops: 100 }), examplePolicy()))).toBe('proceed')
    const verdict = decideData(dataFacts({ hops: 101 }), examplePolicy())
    expect(saidBy(verdict)).toBe('554 5.4.6 mailLoop')
    expect(verdict.outcome).toMatchObject({ values: { hops: 101 } })
  })
})
