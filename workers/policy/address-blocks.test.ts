import { formatBlock, parseAddress, parseBlock } from '@postern/contract/ip-address.ts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addressBlocks, findBlock } from './address-blocks.ts'
import { noon } from './test/example.ts'

type Given = string | { value: string; action?: 'grant' | 'deny'; expiresAt?: string }

function blocksOf(...entries: Given[]) {
  const { blocks, add } = addressBlocks()
  for (const entry of entries)
    add({
      ...(typeof entry === 'string' ? { value: entry } : entry),
      createdBy: 'test',
      createdAt: '2026-01-01T00:00:00Z',
    })
  return blocks
}

describe('address blocks', () => {
  it('lets the longest prefix win', () => {
    const blocks = blocksOf('10.0.0.0/8', '10.1.0.0/16', '10.1.2.3', '0.0.0.0/0', '2001:db8::/32', '2001:db8::7')
    expect(findBlock(blocks, '10.1.2.3', noon)?.value).toBe('10.1.2.3')
    expect(findBlock(blocks, '10.1.2.4', noon)?.value).toBe('10.1.0.0/16')
    expect(findBlock(blocks, '10.200.0.1', noon)?.value).toBe('10.0.0.0/8')
    expect(findBlock(blocks, '255.255.255.255', noon)?.value).toBe('0.0.0.0/0')
    expect(findBlock(blocks, '2001:db8::7', noon)?.value).toBe('2001:db8::7')
    expect(findBlock(blocks, '2001:db8:ffff::7', noon)?.value).toBe('2001:db8::/32')
    expect(findBlock(blocks, '2001:db9::', noon)).toBeUndefined()
  })

  it('takes an IPv4-mapped IPv6 address for the IPv4 address it is', () => {
    expect(findBlock(blocksOf('192.0.2.0/24'), '::ffff:192.0.2.9', noon)?.value).toBe('192.0.2.0/24')
    expect(findBlock(blocksOf('::/0'), '192.0.2.9', noon)).toBeUndefined()
  })

  it("an automatic entry of the future, made before the clock was set back, is over; a person's is not", () => {
    const { blocks, add } = addressBlocks()
    const hour = 3_600_000
    const made = (ahead: number, more: object) => ({
      value: '192.0.2.9',
      action: 'deny' as const,
      createdBy: 'system:harvesting',
      createdAt: new Date(noon + ahead).toISOString(),
      expiresAt: new Date(noon + ahead + hour / 2).toISOString(),
      ...more,
    })
    add(made(hour, {}))
    add(made(365 * 24 * hour, {}))
    expect(findBlock(blocks, '192.0.2.9', noon)).toBeUndefined()
    expect(findBlock(blocks, '192.0.2.9', noon + hour)?.automatic).toBe(true)
    // The clocks of two machines differ a little.
    add(made(60_000, { value: '192.0.2.8' }))
    expect(findBlock(blocks, '192.0.2.8', noon)?.automatic).toBe(true)
    add(made(hour, { createdBy: 'user:ann', value: '192.0.2.7' }))
    expect(findBlock(blocks, '192.0.2.7', noon)).toBeDefined()
  })

  it('ignores an expired entry and falls back to the next one', () => {
    const blocks = blocksOf('192.0.2.0/24', { value: '192.0.2.9', action: 'grant', expiresAt: '2026-11-22T12:00:00Z' })
    expect(findBlock(blocks, '192.0.2.9', noon)?.value).toBe('192.0.2.0/24')
    expect(findBlock(blocks, '192.0.2.9', noon - 1)?.action).toBe('grant')
  })

  it('lets a refusing entry win over another for the same block', () => {
    const both: Given[] = [
      { value: '192.0.2.9', action: 'deny' },
      { value: '192.0.2.9', action: 'grant' },
    ]
    expect(findBlock(blocksOf(...both), '192.0.2.9', noon)?.action).toBe('deny')
    expect(findBlock(blocksOf(...both.reverse()), '192.0.2.9', noon)?.action).toBe('deny')
  })

  it('knows nobody who has no address', () => {
    for (const ip of ['', 'localhost', '1.2.3', '1.2.3.256', '1.2.3.4.5', 'fe80::1%eth0', '\0'])
      expect(findBlock(blocksOf('0.0.0.0/0', '::/0'), ip, noon)).toBeUndefined()
  })

  it('names an entry it cannot read', () => {
    expect(() => blocksOf('nonsense')).toThrow('"nonsense"')
    expect(() => blocksOf({ value: '192.0.2.1', expiresAt: 'soon' })).toThrow('"soon"')
  })

  it('agrees with comparing bit by bit', () => {
    const v4 = fc.tuple(octet, octet, octet, octet).map((octets) => octets.join('.'))
    const v6 = fc
      .array(word, { minLength: 8, maxLength: 8 })
      .map((words) => parseAddress(words.join(':'))?.toString() ?? '::')
      // An IPv4-mapped address is read as the IPv4 address it is, which has no block of 33 bits.
      .filter((ip) => ip.includes(':'))
    const block = fc.oneof(
      fc.tuple(v4, fc.integer({ min: 0, max: 32 })).map(([ip, bits]) => `${ip}/${bits}`),
      fc.tuple(v6, fc.integer({ min: 0, max: 128 })).map(([ip, bits]) => `${ip}/${bits}`),
    )
    fc.assert(
      fc.property(fc.array(block, { maxLength: 20 }), fc.oneof(v4, v6), (values, ip) => {
        const canonical = values.map((value) => formatBlock(parseBlock(value) ?? never(value)))
        expect(findBlock(blocksOf(...canonical), ip, noon)?.value).toBe(longest(canonical, ip))
      }),
      { numRuns: 500 },
    )
  })

  it('agrees with comparing numbers, for ranges', () => {
    const low = fc.integer({ min: 0, max: 70_000 })
    fc.assert(
      fc.property(low, low, low, (a, b, c) => {
        const [first, last] = [Math.min(a, b), Math.max(a, b)]
        for (const spell of [spellV4, spellV6]) {
          const found = findBlock(blocksOf(`${spell(first)}-${spell(last)}`), spell(c), noon)
          expect(found !== undefined).toBe(c >= first && c <= last)
        }
      }),
    )
    expect(findBlock(blocksOf('0.0.0.0-255.255.255.255'), '203.0.113.1', noon)).toBeDefined()
    expect(findBlock(blocksOf('192.0.2.9-192.0.2.1'), '192.0.2.5', noon)).toBeUndefined()
  })
})

const octet = fc.oneof(fc.constantFrom(0, 10, 128, 255), fc.integer({ min: 0, max: 255 }))
const word = fc.constantFrom('0', '1', 'ffff', '8000', '2001', 'db8')

function spellV4(n: number): string {
  return `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`
}

function spellV6(n: number): string {
  return `2001:db8::${(n >> 16).toString(16)}:${(n & 0xffff).toString(16)}`
}

function longest(values: string[], ip: string): string | undefined {
  const address = parseAddress(ip) ?? never(ip)
  const holding = values.filter((value) => {
    const block = parseBlock(value) ?? never(value)
    return block.address.kind() === address.kind() && address.match(block.address as never, block.bits)
  })
  return holding.sort((a, b) => (parseBlock(b)?.bits ?? 0) - (parseBlock(a)?.bits ?? 0))[0]
}

function never(value: string): never {
  throw new Error(value)
}
