import { defaultSettings } from '@postern/contract/settings.ts'
import { examplePolicy, mailFacts, noon } from '@postern/policy/test/example.ts'
import { describe, expect, it } from 'vitest'
import { countRates, Rates, withRates } from './rates.ts'

const minute = 60_000
const noRates = defaultSettings().security.ratesPerClient

describe('a sliding count', () => {
  it('one more than there were, in the running minute and hour', () => {
    const rates = new Rates()
    expect(rates.next('a', noon)).toEqual([1, 1])
    for (let i = 0; i < 3; i++) rates.add('a', noon)
    expect(rates.next('a', noon)).toEqual([4, 4])
    expect(rates.next('b', noon)).toEqual([1, 1])
  })

  it('fades out instead of beginning anew', () => {
    const rates = new Rates()
    for (let i = 0; i < 10; i++) rates.add('a', noon)
    expect(rates.next('a', noon + 1.5 * minute)).toEqual([6, 11])
    expect(rates.next('a', noon + 2 * minute)).toEqual([1, 11])
    expect(rates.next('a', noon + 121 * minute)).toEqual([1, 1])
  })

  it.each([
    ['an hour', 60 * minute],
    ['a year', 365 * 1440 * minute],
  ])('the clock is set back by %s: what was counted in the future is over', (_, by) => {
    const rates = new Rates()
    for (let i = 0; i < 10; i++) rates.add('a', noon + by)
    for (let i = 0; i < 10; i++) rates.add('a', noon + by + minute)
    expect(rates.next('a', noon)).toEqual([1, 1])
    rates.add('a', noon)
    expect(rates.next('a', noon)).toEqual([2, 2])
    expect(rates.next('a', noon + 2 * minute)[0]).toBe(1)
  })

  it('is bounded', () => {
    const rates = new Rates(100)
    for (let i = 0; i < 1_000; i++) rates.add(`key ${i}`, noon)
    expect(rates.next('key 999', noon)).toEqual([2, 2])
    expect(rates.next('key 0', noon)).toEqual([1, 1])
  })
})

describe('facts', () => {
  it('stay as they are where nothing is limited', () => {
    const facts = mailFacts()
    expect(withRates(facts, 'messages', { policy: examplePolicy(), rates: new Rates() })).toBe(facts)
  })

  it('addresses of one IPv6 /64 count as one', () => {
    const policy = examplePolicy({ settings: { security: { ratesPerClient: { ...noRates, messagesPerHour: 9 } } } })
    const rates = new Rates()
    const counted = (ip: string) =>
      withRates(mailFacts({ ip }), 'messages', { policy, rates }).lookups?.rates?.client?.messages
    countRates(mailFacts({ ip: '2001:db8:0:1::7' }), 'messages', { policy, rates })
    expect(counted('2001:db8:0:1:ffff::9')).toEqual([2, 2])
    expect(counted('2001:db8:0:2::7')).toEqual([1, 1])
  })

  it('of client, login and quota stand side by side', () => {
    const limits = { ...noRates, messagesPerMinute: 5, connectionsPerMinute: 5 }
    const policy = examplePolicy({ settings: { security: { ratesPerClient: limits, ratesPerLogin: limits } } })
    policy.directory.accounts.get('jane@example.org')!.quotas = { sendsPerHour: 3, sendsPerDay: 0 }
    const rates = new Rates()
    const facts = mailFacts({ login: 'jane@example.org' })
    countRates(facts, 'messages', { policy, rates })
    expect(withRates(facts, 'messages', { policy, rates }).lookups?.rates).toEqual({
      client: { messages: [2, 2] },
      login: { messages: [2, 2] },
      quota: [2, 2],
    })
  })
})
