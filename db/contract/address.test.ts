import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  canonicalDomain,
  domainSchema,
  foldAddress,
  foldLocal,
  mailAddressSchema,
  mailboxSchema,
  parseMailAddress,
} from './address.ts'

describe('a mail address', () => {
  it.each([
    ['jane@example.org', 'jane@example.org'],
    ['Jane.Doe+x@Example.ORG', 'Jane.Doe+x@example.org'],
    ['"jane doe"@example.org', '"jane doe"@example.org'],
    ['"a@b\\"c"@example.org', '"a@b\\"c"@example.org'],
    ['jane@example.org.', 'jane@example.org'],
    ['jane@Bücher.example', 'jane@xn--bcher-kva.example'],
    ['zoë@example.org', 'zoë@example.org'],
    ['jane@[192.0.2.1]', 'jane@[192.0.2.1]'],
    ['jane@[IPv6:2001:DB8:0::1]', 'jane@[IPv6:2001:db8::1]'],
    ['jane@localhost', 'jane@localhost'],
    [`${'a'.repeat(64)}@example.org`, `${'a'.repeat(64)}@example.org`],
    [`${'a'.repeat(308)}@example.org`, `${'a'.repeat(308)}@example.org`],
    [`${'é'.repeat(154)}@example.org`, `${'é'.repeat(154)}@example.org`],
    [`"${'a'.repeat(63)}"@b`, `"${'a'.repeat(63)}"@b`],
    // PHPMailer issue 418 and KumoMTA issue 77: docomo and mail.ru; PHPMailer issue 413 has the dot before the @.
    ['try..this..0511@docomo.ne.jp', '"try..this..0511"@docomo.ne.jp'],
    ['foo.@ezweb.ne.jp', '"foo."@ezweb.ne.jp'],
    ['.foo@docomo.ne.jp', '".foo"@docomo.ne.jp'],
    ['-foo-..@docomo.ne.jp.', '"-foo-.."@docomo.ne.jp'],
  ])('%s is %s', (text, canonical) => {
    expect(parseMailAddress(text)?.text).toBe(canonical)
  })

  it.each([
    '',
    '@',
    'jane',
    'jane@',
    '@example.org',
    'a@b@c',
    'a b@c',
    'a@b c',
    'a@b..c',
    'a@b..',
    '.@b',
    '..@b',
    '@a@b',
    'a@',
    'a\t@b',
    'a\x7f@b',
    `${'a'.repeat(319)}@b`,
    `${'.a'.repeat(159)}@b`,
    `${'é'.repeat(160)}@b`,
    `${'İ'.repeat(150)}@b`,
    'a@-',
    'a@b,c',
    '<a@b>',
    'a\r\n@b',
    'a@b\n',
    'a\0@b',
    '"a@b',
    '"a"b@c',
    '"a\nb"@c',
    'a@[1.2.3]',
    'a@[300.0.0.1]',
    'a@[fe80::1%eth0]',
    `a@${'b'.repeat(64)}.c`,
    'a\u00a0b@c',
    'a\u2028b@c',
    'a\u202eb@c',
    'a\u200bb@c',
    '\ufeffa@c',
    'a\u0085@b',
    `a@${'b.'.repeat(130)}c`,
    'a\u037e@b',
    '"a\u037e\u0000"@b',
  ])('%j is none', (text) => {
    expect(parseMailAddress(text)).toBeNull()
  })

  it.each([
    ['', 'empty'],
    ['jane', 'no @ and no domain'],
    ['@example.org', 'nothing comes before the @'],
    ['jane@', 'no domain comes after the @'],
    ['jane@exa mple', 'neither a domain nor an address literal'],
    ['jane doe@example.org', 'must be quoted'],
    ['ja\x01ne@example.org', 'control character'],
    [`${'a'.repeat(320)}@example.org`, 'longer than 320 bytes'],
  ])('%j: what is wrong is said', (text, fault) => {
    expect(mailAddressSchema.safeParse(text).error?.issues[0]?.message).toContain(fault)
  })

  it('reading takes linear time', () => {
    // CPU time: other work on the machine does not count. About 8 if linear, 64 if quadratic.
    const cost = (text: string) => {
      const before = process.threadCpuUsage()
      for (let runs = 1; ; runs++) {
        parseMailAddress(`${text}!(@b`)
        const { user } = process.threadCpuUsage(before)
        if (user > 100_000) return user / runs
      }
    }
    for (const piece of ['a.', '..', 'aa', '""', '\\\\'])
      expect(cost(piece.repeat(158)) / cost(piece.repeat(20)), piece).toBeLessThan(24)
  })

  it('is compared without regard to case and needless quotes', () => {
    const key = (text: string) => foldAddress(parseMailAddress(text) ?? { local: '?', domain: '?' })
    expect(key('"Jane"@Example.org')).toBe('jane@example.org')
    expect(key('"j\\ane"@example.org')).toBe('jane@example.org')
    expect(key('"Jane Doe"@example.org')).toBe('"jane doe"@example.org')
    expect(key('"a\\"b"@example.org')).toBe('"a\\"b"@example.org')
    expect(key('H\u0331@example.org')).toBe('\u1e96@example.org')
    expect(key('"\\<\u0338"@example.org')).toBe('\u226e@example.org')
    expect(canonicalDomain('H\u0331.example')).toBe(canonicalDomain('\u1e96.example'))
    expect(key('"a@evil.example"@example.org')).toBe('"a@evil.example"@example.org')
  })

  it('reading never throws, is stable, and lets no line break, NUL or bare space through', () => {
    const piece = fc.constantFrom(
      'a',
      'B',
      '@',
      '"',
      '\\',
      '.',
      ' ',
      '\r',
      '\n',
      '\0',
      '[',
      ']',
      'é',
      'H\u0331',
      '<\u0338',
      '\u037e',
      'İ',
      'Σ',
      'ß',
      'ﬁ',
      '\u00a0',
      '\ufeff',
      '\ud800',
      '。',
      'xn--',
      '-',
      ':',
      '1',
      '127.0.0.1',
      'IPv6:',
    )
    const text = fc.oneof(
      fc.array(piece, { maxLength: 10 }).map((pieces) => pieces.join('')),
      fc.string({ unit: 'binary' }),
    )
    fc.assert(
      fc.property(text, text, (local, domain) => {
        const address = parseMailAddress(`${local}@${domain}`)
        if (!address) return
        expect(address.text).not.toMatch(/[\0-\x1f\x7f]/)
        expect(address.local.startsWith('"') || !/\s/.test(address.local)).toBe(true)
        expect(address.domain).toMatch(/^([a-z0-9._-]+|\[[a-zA-Z0-9:.]+\])$/)
        expect(parseMailAddress(address.text)).toEqual(address)
        const folded = foldAddress(address)
        expect(foldAddress(parseMailAddress(folded) ?? { local: '?', domain: '?' })).toBe(folded)
        expect(mailboxSchema.parse(folded)).toBe(folded)
      }),
      { numRuns: 10_000 },
    )
  })
})

describe('schemas', () => {
  it('keep mailboxes folded and domains in ASCII', () => {
    expect(mailboxSchema.parse(' Jane@Example.ORG ')).toBe('jane@example.org')
    expect(domainSchema.parse('Bücher.example.')).toBe('xn--bcher-kva.example')
    expect(canonicalDomain('a b')).toBeNull()
    expect(foldLocal('ÉVE')).toBe('éve')
  })
})
