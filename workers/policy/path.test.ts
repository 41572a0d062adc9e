import { parseMailAddress } from '@postern/contract/address.ts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readSender, readTarget } from './path.ts'
import { examplePolicy } from './test/example.ts'

const delimited = examplePolicy({ settings: { advanced: { hostDelimiters: '%*:$&' } } })
const session = { machine: 'mx1' }

function target(text: string, policy = delimited) {
  const found = readTarget({ text, parsed: parseMailAddress(text), facts: session }, policy)
  if (found.kind === 'local') return `local ${found.local}@${found.domain}`
  return found.kind === 'remote' ? `remote ${found.address.text}` : 'unreadable'
}

describe('reading a path', () => {
  it('reads each host delimiter as @, the last one first', () => {
    for (const delimiter of '%*:$&') expect(target(`jane${delimiter}example.org`)).toBe('local jane@example.org')
    expect(target('eve%remote.example')).toBe('remote eve@remote.example')
    expect(target('eve%remote.example@example.org')).toBe('remote eve@remote.example')
    expect(target('eve%remote.example%example.net@example.org')).toBe('remote eve@remote.example')
    expect(target('jane:example.net@example.org')).toBe('local jane@example.org')
    expect(target('a%b@remote.example')).toBe('remote a%b@remote.example')
  })

  it('leaves delimiters alone where they are none, in quotes, and in names that exist', () => {
    expect(target('eve%remote.example@example.org', examplePolicy())).toBe('local eve%remote.example@example.org')
    expect(target('"eve%remote.example"@example.org')).toBe('local "eve%remote.example"@example.org')
    const named = examplePolicy({ accounts: ['r&d@example.org'], settings: { advanced: { hostDelimiters: '&' } } })
    expect(target('R&D@example.org', named)).toBe('local R&D@example.org')
  })

  it('finds nothing in what is no address', () => {
    for (const text of ['', '%', 'a%', '%b', 'a@b%c', '@example.org:', 'a@b@example.org', '@a:@b:c@d', '"a@b"'])
      expect(target(text)).toBe('unreadable')
  })

  it('knows the null sender, and drops a source route', () => {
    expect(readSender('', delimited)).toBe('null-sender')
    expect(readSender('@a.example,@b.example:eve@remote.example', examplePolicy())).toMatchObject({
      text: 'eve@remote.example',
    })
    expect(readSender('nonsense@', delimited)).toBeNull()
  })

  it('reads a name alone as one of the home domain, or of this host', () => {
    expect(target('jane', examplePolicy())).toBe('local jane@example.org')
    expect(target('jane')).toBe('local jane@example.org')
    expect(readSender('root', delimited)).toMatchObject({ text: 'root@example.org' })
    expect(readSender('root', examplePolicy({ domains: [] }))).toBeNull()
    const gateway = examplePolicy({ domains: [], settings: { general: { hostname: 'gate.example.org' } } })
    expect(readSender('root', gateway)).toMatchObject({ text: 'root@gate.example.org' })
    expect(target('root', gateway)).toBe('unreadable')
  })

  it('never throws, and never yields a line break, a NUL, or a space outside quotes', () => {
    const part = fc.constantFrom(
      'a',
      '@',
      '%',
      ':',
      ',',
      '"',
      '\\',
      '[',
      ']',
      '.',
      ' ',
      '\r',
      '\n',
      '\0',
      '\t',
      'example.org',
      '[127.0.0.1]',
      'é',
      '。',
      '\u00a0',
      '\u2028',
      '<',
      '>',
      '+',
    )
    const text = fc.oneof(
      fc.array(part, { maxLength: 12 }).map((parts) => parts.join('')),
      fc.string({ unit: 'binary', maxLength: 40 }),
    )
    fc.assert(
      fc.property(text, (raw) => {
        for (const policy of [delimited, examplePolicy()]) {
          const sender = readSender(raw, policy)
          if (sender === null || sender === 'null-sender') continue
          expect(sender.text).not.toMatch(/[\0-\x1f\x7f-\x9f\u2028\u2029]/)
          expect(sender.text.replace(/^"(?:[^"\\]|\\.)*"@/, '')).not.toMatch(/[\s<>"]/)
          expect(sender.domain).toMatch(/^([a-z0-9._-]+|\[[a-zA-Z0-9:.]+\])$/)
        }
      }),
      { numRuns: 3000 },
    )
  })
})
