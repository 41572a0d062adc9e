import { describe, expect, it } from 'vitest'
import { decideMail } from '../decide.ts'
import { examplePolicy, mailFacts, saidBy } from '../test/example.ts'

describe('spool-full', () => {
  it('asks the client to come again when the spool is full', () => {
    expect(saidBy(decideMail(mailFacts({ spool: 'full' }), examplePolicy()))).toBe('452 4.3.1 spoolFull')
  })

  it('does not refuse because the space is not known', () => {
    const verdict = decideMail(mailFacts({ spool: 'not-known' }), examplePolicy())
    expect(saidBy(verdict)).toBe('proceed')
    expect(verdict.trail.at(-2)).toMatchObject({ rule: 'spool-full', said: 'not-known' })
  })
})
