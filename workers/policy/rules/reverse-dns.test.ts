import type { Lookups } from '@postern/contract/lookups.ts'
import { describe, expect, it } from 'vitest'
import { decideConnect } from '../decide.ts'
import { connectFacts, examplePolicy, saidBy } from '../test/example.ts'

describe('reverse-dns', () => {
  const decide = (checkReverseDns: 'off' | 'mark' | 'reject', reverse?: Lookups['reverseDns'], facts = {}) =>
    decideConnect(
      connectFacts({ ...(reverse && { lookups: { reverseDns: reverse } }), ...facts }),
      examplePolicy({ settings: { security: { checkReverseDns } } }),
    )
  const step = (verdict: ReturnType<typeof decide>) => verdict.trail.find(({ rule }) => rule === 'reverse-dns')

  it('refuses where there is no name, or one that is not confirmed', () => {
    expect(saidBy(decide('reject', { confirmed: false }))).toBe('550 5.7.25 reverseDns close')
    const verdict = decide('reject', { name: 'a.test', confirmed: false })
    expect(saidBy(verdict)).toBe('550 5.7.25 reverseDns close')
    expect(verdict.explanation[0]).toBe('The PTR of 198.51.100.7 names a.test, which does not have that address.')
    expect(saidBy(decide('reject', { name: 'a.test', confirmed: true }))).toBe('proceed')
  })

  it('does not refuse for what is not known or was not asked', () => {
    expect(step(decide('reject', 'not-known'))?.said).toBe('not-known')
    expect(step(decide('reject'))?.said).toBe('not-known')
    expect(step(decide('mark', 'not-known'))?.said).toBe('not-known')
    expect(step(decide('mark'))?.said).toBe('passed')
  })

  it('marks, is off, and leaves the submission ports alone', () => {
    expect(step(decide('mark', { confirmed: false }))).toMatchObject({
      said: 'watched',
      because: '198.51.100.7 has no PTR record.',
    })
    expect(step(decide('off', { confirmed: false }))?.said).toBe('passed')
    expect(step(decide('reject', { confirmed: false }, { listener: 'submission' }))?.said).toBe('passed')
  })
})
