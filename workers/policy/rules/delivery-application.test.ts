import type { Lookups } from '@postern/contract/lookups.ts'
import { describe, expect, it } from 'vitest'
import { decideData } from '../decide.ts'
import { dataFacts, examplePolicy, saidBy } from '../test/example.ts'

type Said = Lookups['application']

describe('delivery-application', () => {
  const policyOf = (onFailure: 'accept' | 'hold' | 'defer', watch: 'delivery-application'[] = []) =>
    examplePolicy({
      settings: {
        advanced: { deliveryApplication: { url: 'https://filter.example/', timeoutSeconds: 10, onFailure } },
        security: { watch },
      },
    })
  const ask = (application: Said, policy = policyOf('defer')) =>
    decideData(dataFacts(application === undefined ? {} : { lookups: { application } }), policy)
  const step = (application: Said, policy?: ReturnType<typeof policyOf>) =>
    ask(application, policy).trail.find(({ rule }) => rule === 'delivery-application')

  it('accepts, refuses with its words, and says in the trail what it did', () => {
    expect(saidBy(ask({ action: 'accept' }))).toBe('proceed')
    const refused = ask({ action: 'reject', reason: 'no invoices' })
    expect(saidBy(refused)).toBe('550 5.7.1 applicationRefused')
    expect(refused.outcome).toMatchObject({ values: { reason: 'no invoices' } })
    expect(refused.explanation[0]).toBe('The delivery application refused the message: no invoices.')
  })

  it('holds, and adds headers', () => {
    const headers = [{ name: 'X-Spam', value: 'perhaps' }]
    expect(ask({ action: 'hold', reason: 'look at it', headers }).treatments).toEqual([
      expect.objectContaining({ hold: 'delivery application: look at it', headers }),
    ])
    expect(ask({ action: 'accept', headers }).treatments).toEqual([expect.objectContaining({ headers })])
    expect(step({ action: 'hold' })).toMatchObject({
      said: 'passed',
      because: 'The delivery application holds the message.',
    })
  })

  it('redirects, local ones along aliases', () => {
    const [treatment] = ask({
      action: 'redirect',
      redirectTo: ['sales@example.net', 'far@Elsewhere.Example'],
    }).treatments
    expect(treatment?.redirect?.map(({ address }) => address)).toEqual(['jane@example.org', 'far@elsewhere.example'])
  })

  it('a redirection to nobody counts as no answer', () => {
    for (const redirectTo of [[], ['nobody@example.org'], ['not an address']])
      expect(saidBy(ask({ action: 'redirect', redirectTo }))).toBe('451 4.7.1 applicationUnavailable')
  })

  it('without an answer does what onFailure says', () => {
    expect(saidBy(ask('not-known'))).toBe('451 4.7.1 applicationUnavailable')
    expect(saidBy(ask('not-known', policyOf('accept')))).toBe('proceed')
    expect(step('not-known', policyOf('accept'))).toMatchObject({ said: 'not-known' })
    expect(ask('not-known', policyOf('hold')).treatments).toEqual([
      expect.objectContaining({ hold: expect.any(String) }),
    ])
  })

  it('only watched, it changes nothing and says what it would have done', () => {
    const watching = policyOf('defer', ['delivery-application'])
    for (const said of [
      { action: 'reject' },
      { action: 'hold' },
      { action: 'redirect', redirectTo: ['jane@example.org'] },
      'not-known',
    ] as Said[]) {
      expect(saidBy(ask(said, watching))).toBe('proceed')
      expect(ask(said, watching).treatments).toEqual([])
      expect(step(said, watching)).toMatchObject({ said: 'watched' })
    }
  })

  it('off, is not asked; not asked, says so', () => {
    expect(
      decideData(dataFacts({ lookups: { application: { action: 'reject' } } }), examplePolicy()).outcome.kind,
    ).toBe('proceed')
    expect(step(undefined)).toMatchObject({ said: 'not-known' })
  })
})
