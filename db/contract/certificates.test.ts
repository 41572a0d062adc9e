import { describe, expect, it } from 'vitest'
import { type Certificate, certificateInputSchema, daysLeft, shownCertificates, shownFor } from './certificates.ts'

const row = (names: string[], more: Partial<Certificate> = {}): Certificate => ({
  name: names[0] ?? '',
  source: { type: 'upload' },
  certificate: 'PEM',
  privateKey: 'PEM',
  names,
  notAfter: '2027-01-01T00:00:00Z',
  ...more,
})
const choose = (rows: Record<string, Certificate>, asked: string, hostname = '') =>
  shownFor(shownCertificates(new Map(Object.entries(rows)), hostname), asked)

describe('the certificate for a name', () => {
  const rows = { a: row(['a.test', '*.wild.test']), b: row(['b.test', 'one.wild.test']) }

  it.each([
    ['a.test', 'a'],
    ['B.Test', 'b'],
    ['two.wild.test', 'a'],
    ['one.wild.test', 'b'],
    ['wild.test', 'a'],
    ['deep.two.wild.test', 'a'],
    ['', 'a'],
  ])('%s: %s', (asked, id) => expect(choose(rows, asked)).toBe(id))

  it('the one for the server itself is shown to those who ask for nothing', () => {
    expect(choose(rows, 'unknown.test', 'b.test')).toBe('b')
    expect(choose(rows, '', 'x.wild.test')).toBe('a')
  })

  it('signed before self-signed, then the one that lasts longest; what is not issued is none', () => {
    const own = row(['m.test'], { selfSigned: true, notAfter: '2036-01-01T00:00:00Z' })
    const old = row(['m.test'], { notAfter: '2026-12-01T00:00:00Z' })
    const next = row(['m.test'], { notAfter: '2027-03-01T00:00:00Z' })
    const { certificate: _, ...ordered } = row(['m.test'], { notAfter: undefined })
    expect(choose({ own, old, next, ordered }, 'm.test')).toBe('next')
    expect(choose({ own, old }, 'm.test')).toBe('old')
    expect(choose({ own, ordered }, 'm.test')).toBe('own')
    expect(choose({ ordered }, 'm.test')).toBeUndefined()
  })
})

it('days are whole, and negative when it is over', () => {
  const now = Date.parse('2026-01-01T00:00:00Z')
  expect(daysLeft('2026-01-31T00:00:00Z', now)).toBe(30)
  expect(daysLeft('2026-01-30T23:59:59Z', now)).toBe(29)
  expect(daysLeft('2025-12-31T23:00:00Z', now)).toBe(-1)
})

it('names are folded, and only host names and wildcards', () => {
  const parse = (names: string[]) => certificateInputSchema.safeParse({ name: 'x', source: { type: 'csr', names } })
  expect(parse(['MAIL.Bücher.example', '*.B.test']).data?.source).toMatchObject({
    names: ['mail.xn--bcher-kva.example', '*.b.test'],
  })
  for (const bad of ['', '*', '*.', '*.*.test', 'a..b', '[192.0.2.1]', 'a b', '-a.test'])
    expect(parse([bad]).success, bad).toBe(false)
})
