import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalAddress, formatBlock, parseBlock } from './ip-address.ts'
import { blockSchema, hostSchema, portSchema } from './network.ts'

describe('addresses', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['2001:DB8:0:0::1', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['IPv6:2001:db8::1', '2001:db8::1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
  ])('%s is %s', (text, canonical) => {
    expect(canonicalAddress(text)).toBe(canonical)
  })

  it.each([
    '',
    '1',
    '1.2.3',
    '01.2.3.4',
    '0x7f.0.0.1',
    '1.2.3.256',
    '1.2.3.4.5',
    'fe80::1%eth0',
    'host',
    ':::',
    '1.2.3.4 ',
  ])('%j is none', (text) => {
    expect(canonicalAddress(text)).toBeNull()
  })
})

describe('blocks', () => {
  it.each([
    ['192.0.2.77/24', '192.0.2.0/24'],
    [' 192.0.2.1 ', '192.0.2.1'],
    ['192.0.2.1/32', '192.0.2.1'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['2001:db8:ffff::1/32', '2001:db8::/32'],
    ['::1/128', '::1'],
    ['::ffff:192.0.2.77/120', '192.0.2.0/24'],
  ])('%s is %s', (text, canonical) => {
    expect(blockSchema.parse(text)).toBe(canonical)
  })

  it.each([
    '',
    '/',
    '192.0.2.1/',
    '192.0.2.1/33',
    '192.0.2.1/-1',
    '192.0.2.1/24/24',
    '2001:db8::/129',
    '192.0.2.1/2x',
    'host/8',
  ])('%j is none', (text) => {
    expect(blockSchema.safeParse(text).error?.issues[0]?.message).toContain('is not an address or CIDR block; allowed:')
  })

  it('have one spelling each, and reading never throws', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()), fc.integer({ min: -1, max: 130 }), (head, bits) => {
        const block = parseBlock(`${head}/${bits}`)
        if (!block) return
        const again = parseBlock(formatBlock(block))
        expect(again && formatBlock(again)).toBe(formatBlock(block))
      }),
    )
  })
})

describe('hosts and ports', () => {
  it('take names and addresses', () => {
    for (const host of ['mx.example.org', 'mx', '192.0.2.1', '2001:db8::1', '[2001:db8::1]'])
      expect(hostSchema.safeParse(host).success).toBe(true)
    for (const host of ['', 'a b', 'mx.example.org:25', 'http://mx', 'a..b', 'x\r\ny', `${'a'.repeat(64)}.b`])
      expect(hostSchema.safeParse(host).success).toBe(false)
    for (const port of [0, 65_536, 2.5, '25', null]) expect(portSchema.safeParse(port).success).toBe(false)
  })
})
