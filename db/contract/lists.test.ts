import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defaultRelayList, type ListName, listInputSchemas, listNames, lists } from './lists.ts'

function read(list: ListName, value: unknown): string | null {
  const result = listInputSchemas[list].safeParse({ value })
  return result.success ? result.data.value : null
}

const table: [ListName, string, string][] = [
  ['kill', 'Eve@Remote.Example', 'eve@remote.example'],
  ['kill', ' @Remote.Example ', '@remote.example'],
  ['kill', '@*Spam.Example', '@*spam.example'],
  ['kill', '@*.ru', '@*.ru'],
  ['kill', '@*spam.example.', '@*spam.example'],
  ['kill', '@Bücher.example', '@xn--bcher-kva.example'],
  ['accept', '192.0.2.1', '192.0.2.1'],
  ['accept', 'Partner.Example', 'partner.example'],
  ['accept', 'Jane@Partner.Example', 'jane@partner.example'],
  ['accept', '::ffff:192.0.2.1', '192.0.2.1'],
  ['white', '192.0.2.7/24', '192.0.2.0/24'],
  ['white', '192.0.2.1 - 192.0.2.9', '192.0.2.1-192.0.2.9'],
  ['white', '2001:db8::1-2001:db8::F', '2001:db8::1-2001:db8::f'],
  ['relay', '2001:db8::/32', '2001:db8::/32'],
  ['control-access', '192.0.2.1/32', '192.0.2.1'],
]

const none: [ListName, string[]][] = [
  ['kill', ['', '@', '*', '@*', 'host', 'a@*', '*@host', 'e*e@host', '@ho*st', '@*a b', 'a@b@c', '@*é', 'a b@c']],
  ['accept', ['', '*', '*.example', '*@host', '192.0.2.0/24', 'a b', '@host', 'a@', 'jane@*']],
  [
    'white',
    ['', 'host', '192.0.2.1-', '192.0.2.1-2001:db8::1', '192.0.2.1-2-3', '192.0.2.0/33', '192.0.2.9-192.0.2.1'],
  ],
  ['relay', ['', 'host', '192.0.2.1-192.0.2.9', '192.0.2.0/33']],
  ['control-access', ['', 'host', '1.2.3', '*']],
]

describe('list entries', () => {
  it.each(table)('%s: %s is kept as %s', (list, text, canonical) => {
    expect(read(list, text)).toBe(canonical)
    expect(read(list, canonical)).toBe(canonical)
  })

  it.each(none)('%s refuses %j', (list, values) => {
    for (const value of values) expect([value, read(list, value)]).toEqual([value, null])
    expect(listInputSchemas[list].safeParse({ value: 'no such thing' }).error?.issues[0]?.message).toMatch(/allowed: /)
  })

  it('have one spelling each, and reading never throws', () => {
    const piece = fc.constantFrom(
      'a',
      '@',
      '*',
      '.',
      '-',
      '/',
      '1',
      '192.0.2.1',
      'example.org',
      ' ',
      '"',
      'é',
      '\n',
      '::',
      '24',
    )
    const text = fc.oneof(
      fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join('')),
      fc.string({ unit: 'binary' }),
    )
    fc.assert(
      fc.property(fc.constantFrom(...listNames), text, (list, value) => {
        const canonical = read(list, value)
        if (canonical === null) return
        expect(read(list, canonical)).toBe(canonical)
        expect(canonical).not.toMatch(/[\0-\x1f\x7f]/)
      }),
      { numRuns: 10_000 },
    )
  })

  it('only Control Access has actions', () => {
    expect(listInputSchemas['control-access'].safeParse({ value: '192.0.2.1', action: 'grant' }).success).toBe(true)
    expect(listInputSchemas.relay.safeParse({ value: '192.0.2.1', action: 'grant' }).success).toBe(false)
  })

  it('examples and defaults are entries', () => {
    for (const list of listNames) expect(read(list, lists[list].example)).not.toBeNull()
    for (const value of defaultRelayList) expect(read('relay', value)).toBe(value)
  })
})
