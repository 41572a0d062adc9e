import type { Lookups } from '@postern/contract/lookups.ts'
import { describe, expect, it } from 'vitest'
import { decideData } from '../decide.ts'
import { dataFacts, examplePolicy, saidBy } from '../test/example.ts'

const enforced = examplePolicy({ settings: { general: { verifySpf: 'enforce' } } })
const results = ['none', 'neutral', 'pass', 'softfail', 'temperror', 'permerror', 'fail'] as const
const lookups = (result: (typeof results)[number], explanation?: string): Lookups => ({
  spf: { result, domain: 'remote.example', ...(explanation ? { explanation } : {}) },
})

describe('spf', () => {
  it('refuses a fail, and nothing else', () => {
    for (const result of results) {
      const said = saidBy(decideData(dataFacts({ lookups: lookups(result) }), enforced))
      expect(said, result).toBe(result === 'fail' ? '550 5.7.23 spfFail' : 'proceed')
    }
  })

  it('says what the owner of the domain explains', () => {
    const verdict = decideData(dataFacts({ lookups: lookups('fail', 'See https://remote.example/spf') }), enforced)
    expect(saidBy(verdict)).toBe('550 5.7.23 spfFailExplained')
    expect(verdict.outcome).toMatchObject({ values: { explanation: 'See https://remote.example/spf' } })
  })

  it('does not know without an answer, and with the DNS in trouble', () => {
    for (const given of [undefined, lookups('temperror')]) {
      const { trail } = decideData(dataFacts(given ? { lookups: given } : {}), enforced)
      expect(trail).toContainEqual(expect.objectContaining({ rule: 'spf', said: 'not-known' }))
    }
  })

  it('asks nothing unless it is enforced, of nobody who has logged in, and not in submission', () => {
    const failing = { lookups: lookups('fail') }
    for (const verifySpf of ['off', 'mark'] as const)
      expect(saidBy(decideData(dataFacts(failing), examplePolicy({ settings: { general: { verifySpf } } })))).toBe(
        'proceed',
      )
    expect(saidBy(decideData(dataFacts({ ...failing, login: 'jane@example.org' }), enforced))).toBe('proceed')
    expect(saidBy(decideData(dataFacts({ ...failing, listener: 'submission' }), enforced))).toBe('proceed')
  })

  it('holds for clients in the relay list and in the White List', () => {
    const policy = examplePolicy({
      settings: { general: { verifySpf: 'enforce' } },
      lists: { relay: ['198.51.100.7'], white: ['198.51.100.7'] },
    })
    expect(saidBy(decideData(dataFacts({ lookups: lookups('fail') }), policy))).toBe('550 5.7.23 spfFail')
  })
})
