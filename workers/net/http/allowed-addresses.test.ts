import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { allowedAddressesFrom, allowedAddressesOf } from './allowed-addresses.ts'

const reach = allowedAddressesOf([])
const isOpen = (address: string) => reach.refuses(address) === null

/** Networks that are not the public Internet, first address and length (RFC 6890 and the IANA registries). */
const closedV4 = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const

const number = (text: string) => text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
const text = (n: number) => [24, 16, 8, 0].map((shift) => (n >>> shift) & 255).join('.')
const hex = (n: number) => `${(n >>> 16).toString(16)}:${(n & 0xffff).toString(16)}`
const isClosed = (n: number) =>
  closedV4.some(([first, bits]) => Math.floor(n / 2 ** (32 - bits)) === Math.floor(number(first) / 2 ** (32 - bits)))

const anyV4 = fc.integer({ min: 0, max: 0xffffffff })
const closed = fc
  .constantFrom(...closedV4)
  .chain(([first, bits]) => fc.integer({ min: 0, max: 2 ** (32 - bits) - 1 }).map((host) => number(first) + host))

describe('which addresses hooks may reach', () => {
  it('no IPv4 address outside the public Internet, however it is written', () => {
    fc.assert(
      fc.property(closed, (n) => {
        const wrapped = [
          text(n),
          `::ffff:${text(n)}`,
          `::ffff:${hex(n)}`,
          `[::ffff:${hex(n)}]`,
          `::${hex(n)}`,
          `64:ff9b::${hex(n)}`,
          `2002:${hex(n)}::1`,
        ]
        for (const address of wrapped) expect(isOpen(address), address).toBe(false)
      }),
      { numRuns: 2000 },
    )
  })

  it('an IPv4 address is open only when it is in no closed network', () => {
    fc.assert(
      fc.property(anyV4, (n) => {
        if (isOpen(text(n))) expect(isClosed(n), text(n)).toBe(false)
        expect(isOpen(`::ffff:${text(n)}`)).toBe(isOpen(text(n)))
      }),
      { numRuns: 5000 },
    )
    for (const address of ['8.8.8.8', '1.1.1.1', '93.184.216.34']) expect(isOpen(address)).toBe(true)
  })

  it('of IPv6 only what is given out', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 }), (words) => {
        const address = words.map((word) => word.toString(16)).join(':')
        if (isOpen(address)) expect((words[0] as number) >> 13, address).toBe(1)
      }),
      { numRuns: 3000 },
    )
    for (const address of [
      '::',
      '::1',
      'fe80::1',
      'fc00::1',
      'fd00:ec2::254',
      'ff02::1',
      'fec0::1',
      '100::1',
      '2001:db8::1',
    ])
      expect(isOpen(address), address).toBe(false)
    expect(isOpen('2606:4700:4700::1111')).toBe(true)
  })

  it('nothing that is not plainly an address', () => {
    for (const address of [
      '',
      'localhost',
      '0177.0.0.1',
      '0x7f.1',
      '127.1',
      '2130706433',
      'fe80::1%lo',
      '127.0.0.1:80',
    ])
      expect(isOpen(address), address).toBe(false)
  })

  it('what the environment names is open, and only that', () => {
    const open = allowedAddressesFrom({ POSTERN_HOOKS_MAY_REACH: '127.0.0.0/8, 10.1.0.0/16,fd00::/8' })
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffff }), (host) => {
        expect(open.refuses(text(0x7f000000 + host))).toBe(null)
        expect(open.refuses(`::ffff:${text(0x7f000000 + host)}`)).toBe(null)
      }),
    )
    expect(open.refuses('10.1.2.3')).toBe(null)
    expect(open.refuses('10.2.0.1')).toContain('a private address')
    expect(open.refuses('fd12::1')).toBe(null)
    expect(open.refuses('169.254.169.254')).toContain('link-local')
    expect(() => allowedAddressesFrom({ POSTERN_HOOKS_MAY_REACH: 'everything' })).toThrow(
      'POSTERN_HOOKS_MAY_REACH contains "everything"',
    )
  })
})
