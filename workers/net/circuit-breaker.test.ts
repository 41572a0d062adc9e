import { describe, expect, it } from 'vitest'
import { Breaker } from './circuit-breaker.ts'
import { sign } from './http/signature.ts'

describe('a breaker', () => {
  it('leaves a partner alone after some failures in a row, then lets one try', () => {
    let now = 0
    const breaker = new Breaker({ failures: 2, restMs: 1000, now: () => now })
    breaker.failed()
    breaker.worked()
    breaker.failed()
    expect(breaker.mayAsk()).toBe(true)
    breaker.failed()
    expect(breaker.mayAsk()).toBe(false)
    now = 1000
    expect([breaker.mayAsk(), breaker.mayAsk()]).toEqual([true, false])
    breaker.failed()
    now = 1999
    expect(breaker.mayAsk()).toBe(false)
    now = 2000
    expect(breaker.mayAsk()).toBe(true)
    breaker.worked()
    expect([breaker.mayAsk(), breaker.mayAsk()]).toEqual([true, true])
  })
})

describe('a signature', () => {
  it('is what the documentation says', () => {
    const digest = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
    expect(sign('secret', 1_700_000_000_999, digest)).toBe(
      't=1700000000,v1=d9a72757f8944b8b355cff2527c971639927dae6a72e585145f564cf39f72555',
    )
    expect(sign('other', 1_700_000_000_000, digest)).not.toBe(sign('secret', 1_700_000_000_000, digest))
  })
})
