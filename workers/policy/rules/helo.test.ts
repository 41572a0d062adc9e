import type { Lookups } from '@postern/contract/lookups.ts'
import { describe, expect, it } from 'vitest'
import { decideHello } from '../decide.ts'
import { examplePolicy, saidBy, sessionFacts } from '../test/example.ts'

describe('helo', () => {
  type Asked = { argument?: string; helo?: Lookups['helo']; listener?: 'smtp' | 'submission'; white?: string[] }
  const decide = (
    checkHelo: 'off' | 'mark' | 'reject',
    { argument = 'a.test', helo, listener, white = [] }: Asked = {},
  ) =>
    decideHello(
      {
        ...sessionFacts({ ...(helo && { lookups: { helo } }), ...(listener && { listener }) }),
        verb: 'EHLO',
        argument,
      },
      examplePolicy({ settings: { security: { checkHelo } }, lists: { white } }),
    )
  const step = (verdict: ReturnType<typeof decide>) => verdict.trail.find(({ rule }) => rule === 'helo')?.said

  it('refuses a name without address', () => {
    expect(saidBy(decide('reject', { helo: 'does-not-resolve' }))).toBe('550 5.7.1 helo')
    expect(saidBy(decide('reject', { helo: 'resolves' }))).toBe('proceed')
  })

  it('lets literals through, and refuses those that are none before', () => {
    expect(step(decide('reject', { argument: '[192.0.2.1]' }))).toBe('passed')
    expect(saidBy(decide('reject', { argument: '[192.0.2]' }))).toBe('501 5.5.2 helloSyntax')
  })

  it('does not refuse for what is not known or was not asked', () => {
    expect(step(decide('reject'))).toBe('not-known')
    expect(step(decide('reject', { helo: 'not-known' }))).toBe('not-known')
    expect(step(decide('mark'))).toBe('passed')
  })

  it('marks, is off, leaves the submission ports and the White List alone', () => {
    expect(step(decide('mark', { helo: 'does-not-resolve' }))).toBe('watched')
    expect(step(decide('off', { helo: 'does-not-resolve' }))).toBe('passed')
    expect(step(decide('reject', { helo: 'does-not-resolve', listener: 'submission' }))).toBe('passed')
    expect(step(decide('reject', { helo: 'does-not-resolve', white: ['198.51.100.0/24'] }))).toBe('exempt')
  })
})
