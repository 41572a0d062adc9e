import { describe, expect, it } from 'vitest'
import { decideMail } from '../decide.ts'
import { examplePolicy, mailFacts, saidBy } from '../test/example.ts'

describe('declared-size', () => {
  const ask = (declaredSize: number | undefined, maxMessageBytes: number) =>
    saidBy(
      decideMail(
        mailFacts(declaredSize === undefined ? {} : { declaredSize }),
        examplePolicy({ settings: { general: { maxMessageBytes } } }),
      ),
    )

  it('refuses what is declared larger', () => {
    expect(ask(1000, 1000)).toBe('proceed')
    expect(ask(1001, 1000)).toBe('552 5.3.4 messageTooLarge')
    expect(ask(undefined, 1000)).toBe('proceed')
    expect(ask(1e12, 0)).toBe('proceed')
  })
})
