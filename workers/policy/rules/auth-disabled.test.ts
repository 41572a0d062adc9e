import { describe, expect, it } from 'vitest'
import { decideAuth } from '../decide.ts'
import { authFacts, examplePolicy, saidBy } from '../test/example.ts'

describe('auth-disabled', () => {
  it('answers as if AUTH did not exist', () => {
    expect(saidBy(decideAuth(authFacts(), examplePolicy({ settings: { advanced: { disableAuth: true } } })))).toBe(
      '502 5.5.1 authDisabled',
    )
    expect(saidBy(decideAuth(authFacts(), examplePolicy()))).toBe('proceed')
  })
})
