import { describe, expect, it } from 'vitest'
import { decideRcpt } from '../decide.ts'
import { examplePolicy, rcptFacts, saidBy } from '../test/example.ts'

describe('recipient-count', () => {
  const ask = (recipientsSoFar: number, maxRecipients: number) =>
    saidBy(decideRcpt(rcptFacts({ recipientsSoFar }), examplePolicy({ settings: { advanced: { maxRecipients } } })))

  it('sends the rest into another transaction', () => {
    expect(ask(1, 2)).toBe('proceed')
    expect(ask(2, 2)).toBe('452 4.5.3 tooManyRecipients')
    expect(ask(49_999, 0)).toBe('proceed')
  })
})
