import type { Lookups } from '@postern/contract/lookups.ts'
import { describe, expect, it } from 'vitest'
import { decideConnect } from '../decide.ts'
import { type Change, connectFacts, examplePolicy, saidBy } from '../test/example.ts'

describe('dnsbl', () => {
  const list = (zone: string, action: 'mark' | 'reject' = 'reject', answer = '127.0.0.*') => ({ zone, action, answer })
  const lists = (...dnsbl: ReturnType<typeof list>[]): Change => ({ settings: { security: { dnsbl } } })
  const decide = (change: Change, dnsbl?: Lookups['dnsbl'], facts = {}) =>
    decideConnect(connectFacts({ ...(dnsbl && { lookups: { dnsbl } }), ...facts }), examplePolicy(change))

  it('refuses with name and text of the first list that has the client', () => {
    const verdict = decide(lists(list('a.test'), list('b.test')), [
      { zone: 'a.test', answers: [] },
      { zone: 'b.test', answers: ['127.0.0.2'], text: 'spam' },
    ])
    expect(verdict).toMatchObject({
      rule: 'dnsbl',
      reason: 'dnsbl',
      outcome: { reply: 'dnsbl', close: true, values: { ip: '198.51.100.7', zone: 'b.test', text: ': spam' } },
      explanation: ['198.51.100.7 is listed by b.test (127.0.0.2): spam.'],
    })
  })

  it.each([
    ['127.0.0.*', '127.0.0.2', true],
    ['127.0.0.*', '127.0.1.2', false],
    ['127.0.0.*', '127.255.255.254', false],
    ['127.0.0.2', '127.0.0.20', false],
    ['127.*', '127.9.9.9', true],
    ['*.*.*.*', '10.0.0.1', true],
  ])('pattern %s and answer %s: %s', (answer, address, listed) => {
    const said = decide(lists(list('a.test', 'reject', answer)), [{ zone: 'a.test', answers: ['10.9.9.9', address] }])
    expect(saidBy(said)).toBe(listed ? '550 5.7.1 dnsbl close' : 'proceed')
  })

  it('says what is missing, and refuses nobody for it', () => {
    const unasked = decide(lists(list('a.test'), list('m.test', 'mark')))
    expect(saidBy(unasked)).toBe('proceed')
    expect(unasked.trail).toContainEqual({
      rule: 'dnsbl',
      said: 'not-known',
      because: 'It is not known whether a.test list 198.51.100.7.',
    })
    const failed = decide(lists(list('a.test')), [{ zone: 'a.test', answers: 'not-known' }])
    expect(saidBy(failed)).toBe('proceed')
  })

  it('a list that only marks decides nothing, asked or not', () => {
    const marks = lists(list('m.test', 'mark'))
    expect(decide(marks).trail).toContainEqual({ rule: 'dnsbl', said: 'passed' })
    const marked = decide(marks, [{ zone: 'm.test', answers: ['127.0.0.2'] }])
    expect(saidBy(marked)).toBe('proceed')
    expect(marked.trail).toContainEqual({
      rule: 'dnsbl',
      said: 'watched',
      because: '198.51.100.7 is listed by m.test (127.0.0.2).',
    })
  })

  it('does not ask at the submission ports', () => {
    const heard = [{ zone: 'a.test', answers: ['127.0.0.2'] }]
    expect(saidBy(decide(lists(list('a.test')), heard, { listener: 'submission' }))).toBe('proceed')
    expect(saidBy(decide(lists(list('a.test')), heard, { listener: 'smtps' }))).toBe('proceed')
  })
})
