import { describe, expect, it } from 'vitest'
import { growth, superlinear } from '../net/test/cpu-time.ts'
import { forgedIn } from './forged-results.ts'
import { fieldsOf } from './header.ts'

/** What is left of a header when what claims to be mx.home.test is taken out. */
function left(...fields: string[]): string[] {
  const header = Buffer.from(fields.map((field) => `${field}\r\n`).join(''), 'latin1')
  const { cuts } = forgedIn(fieldsOf(header), 'mx.home.test')
  let text = header.toString('latin1')
  for (const [from, to] of cuts.toReversed()) text = text.slice(0, from) + text.slice(to)
  return text.split('\r\n').filter(Boolean)
}

describe('forged Authentication-Results', () => {
  it.each([
    'Authentication-Results: mx.home.test; spf=pass',
    'authentication-results:MX.HOME.TEST;none',
    'Authentication-Results : mx.home.test.; spf=pass',
    'Authentication-Results: mx.home.test 1; spf=pass',
    'Authentication-Results: mx.home.test',
    'Authentication-Results:\r\n\tmx.home.test;\r\n\tspf=pass',
    'Authentication-Results: (a (nested; \\)) comment) mx.home.test (more); spf=pass',
    'Authentication-Results: "mx.home.test"; spf=pass',
    'Authentication-Results: "mx\\.home.test"; spf=pass',
    'Authentication-Results\r\n : mx.home.test; spf=pass',
  ])('%j', (field) => {
    expect(left('From: a', field, 'To: b')).toEqual(['From: a', 'To: b'])
  })

  it.each([
    'Authentication-Results: mx.elsewhere.test; spf=pass smtp.helo=mx.home.test',
    'Authentication-Results: (mx.home.test) mx.elsewhere.test; spf=pass',
    'Authentication-Results: mx.home.test.elsewhere.test; spf=pass',
    'X-Authentication-Results: mx.home.test; spf=pass',
    'ARC-Authentication-Results: i=1; mx.home.test; spf=pass',
    'Subject: Authentication-Results: mx.home.test; spf=pass',
  ])('%j stays', (field) => {
    expect(left('From: a', field)).toEqual(['From: a', field])
  })

  it('a name beyond ASCII is compared as A-label', () => {
    const header = Buffer.from('Authentication-Results: mx.b\u00fccher.example; spf=pass\r\n', 'utf8')
    expect(forgedIn(fieldsOf(header), 'mx.xn--bcher-kva.example').count).toBe(1)
  })

  it('ten thousand of them cost little and leave nothing', () => {
    const headerWith = (count: number) =>
      Buffer.from(
        Array.from({ length: count }, (_, i) => `X-${i}: y\r\nAuthentication-Results: mx.home.test; x=pass\r\n`).join(
          '',
        ),
      )
    const header = headerWith(10_000)
    const { cuts } = forgedIn(fieldsOf(header), 'mx.home.test')
    expect(cuts).toHaveLength(1000)
    expect(cuts.at(-1)?.[1]).toBe(header.length)
    const cost = growth(1250, (count) => forgedIn(fieldsOf(headerWith(count)), 'mx.home.test'))
    expect(cost).toBeLessThan(superlinear)
  })
})
