import { describe, expect, it } from 'vitest'
import { decideData } from '../decide.ts'
import { dataFacts, examplePolicy, saidBy } from '../test/example.ts'

const settings = { general: { verifyDmarc: 'enforce' } } as const
type Result = 'none' | 'pass' | 'fail' | 'temperror' | 'permerror'
const facts = (result: Result, policy: 'none' | 'quarantine' | 'reject', more = {}) =>
  dataFacts({ lookups: { dmarc: { result, policy, domain: 'remote.example' } }, ...more })

describe('dmarc', () => {
  it('refuses where the domain asks for reject', () => {
    const verdict = decideData(facts('fail', 'reject'), examplePolicy({ settings }))
    expect(saidBy(verdict)).toBe('550 5.7.1 dmarcReject')
    expect(verdict.explanation[0]).toContain('remote.example')
  })

  it('accepts and holds where it asks for quarantine', () => {
    const verdict = decideData(facts('fail', 'quarantine'), examplePolicy({ settings }))
    expect(saidBy(verdict)).toBe('proceed')
    expect(verdict.treatments).toMatchObject([{ hold: 'DMARC: remote.example asks for quarantine' }])
  })

  it('holds nothing where the rule is only watched', () => {
    const policy = examplePolicy({ settings: { ...settings, security: { watch: ['dmarc'] } } })
    for (const requested of ['quarantine', 'reject'] as const) {
      const verdict = decideData(facts('fail', requested), policy)
      expect(saidBy(verdict)).toBe('proceed')
      expect(verdict.treatments).toEqual([])
      expect(verdict.trail).toContainEqual(expect.objectContaining({ rule: 'dmarc', said: 'watched' }))
    }
  })

  it('lets everything else pass, temporary trouble above all', () => {
    const policy = examplePolicy({ settings })
    expect(saidBy(decideData(facts('fail', 'none'), policy))).toBe('proceed')
    for (const result of ['none', 'pass', 'temperror', 'permerror'] as const)
      expect(saidBy(decideData(facts(result, 'reject'), policy))).toBe('proceed')
    expect(saidBy(decideData(dataFacts(), policy))).toBe('proceed')
  })

  it('asks nothing about people who have logged in, nor in submission, nor when it only marks', () => {
    for (const more of [{ login: 'jane@example.org' }, { listener: 'smtps' }])
      expect(saidBy(decideData(facts('fail', 'reject', more), examplePolicy({ settings })))).toBe('proceed')
    expect(saidBy(decideData(facts('fail', 'reject'), examplePolicy()))).toBe('proceed')
  })
})
