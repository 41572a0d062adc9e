import { describe, expect, it } from 'vitest'
import { decideData } from '../decide.ts'
import { dataFacts, examplePolicy, saidBy } from '../test/example.ts'

describe('message-size', () => {
  const ask = (size: number, maxMessageBytes: number) =>
    saidBy(decideData(dataFacts({ size }), examplePolicy({ settings: { general: { maxMessageBytes } } })))

  it('refuses what is found to be larger', () => {
    expect(ask(1000, 1000)).toBe('proceed')
    expect(ask(1001, 1000)).toBe('552 5.3.4 messageTooLarge')
    expect(ask(1e12, 0)).toBe('proceed')
  })
})
