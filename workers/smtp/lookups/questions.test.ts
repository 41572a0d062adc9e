import { describe, expect, it } from 'vitest'
import { isOwnNetwork, networkOf, pointerName, reversed } from './address.ts'
import type { Answer, Dns } from './dns.ts'
import { askDnsbl } from './dnsbl.ts'
import { askHelo } from './helo.ts'
import { askReverse } from './reverse-dns.ts'
import { askSenderDomain } from './sender-domain.ts'

/** A DNS that is data: `a mx.test` → answer; what is not there does not exist. */
function dnsOf(data: Record<string, Answer>): Dns {
  const kind = (name: string) => async (of: string) => data[`${name} ${of}`] ?? []
  return { a: kind('a'), aaaa: kind('aaaa'), mx: kind('mx'), ptr: kind('ptr'), txt: kind('txt') } as unknown as Dns
}

describe('addresses', () => {
  it('turns them round, by octets and by nibbles', () => {
    expect(reversed('192.0.2.99')).toBe('99.2.0.192')
    expect(pointerName('192.0.2.99')).toBe('99.2.0.192.in-addr.arpa')
    // RFC 5782 §2.4
    expect(reversed('2001:db8:1:2:3:4:567:89ab')).toBe(
      'b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2',
    )
    expect(pointerName('::1')).toMatch(/^1(\.0){31}\.ip6\.arpa$/)
  })

  it('knows the network a client is in', () => {
    expect(networkOf('192.0.2.99')).toBe(networkOf('192.0.2.1'))
    expect(networkOf('192.0.2.99')).not.toBe(networkOf('192.0.3.99'))
    expect(networkOf('2001:db8::1')).toBe(networkOf('2001:db8::ffff:1'))
    expect(networkOf('2001:db8::1')).not.toBe(networkOf('2001:db8:0:1::1'))
  })

  it('knows networks of our own', () => {
    for (const ip of ['127.0.0.1', '10.1.2.3', '172.16.0.1', '172.31.9.9', '192.168.1.1', '169.254.1.1', '100.64.0.1'])
      expect(isOwnNetwork(ip), ip).toBe(true)
    for (const ip of ['::1', 'fd00::1', 'fe80::1']) expect(isOwnNetwork(ip), ip).toBe(true)
    for (const ip of ['172.32.0.1', '100.128.0.1', '198.51.100.7', '11.0.0.1', '2001:db8::1', '1.127.0.1'])
      expect(isOwnNetwork(ip), ip).toBe(false)
  })
})

describe('reverse', () => {
  const ptr = 'ptr 7.100.51.198.in-addr.arpa'

  it('is confirmed by any of the names', async () => {
    const dns = dnsOf({ [ptr]: ['a.test', 'b.test'], 'a a.test': ['192.0.2.1'], 'a b.test': ['198.51.100.7'] })
    expect(await askReverse(dns, '198.51.100.7')).toEqual({ name: 'b.test', confirmed: true })
  })

  it('is not confirmed, is not there, is not known', async () => {
    expect(await askReverse(dnsOf({ [ptr]: ['a.test'] }), '198.51.100.7')).toEqual({ name: 'a.test', confirmed: false })
    expect(await askReverse(dnsOf({}), '198.51.100.7')).toEqual({ confirmed: false })
    expect(await askReverse(dnsOf({ [ptr]: 'not-known' }), '198.51.100.7')).toBe('not-known')
    expect(await askReverse(dnsOf({ [ptr]: ['a.test'], 'a a.test': 'not-known' }), '198.51.100.7')).toBe('not-known')
  })

  it('compares IPv6 addresses, not their spelling, and looks at few names', async () => {
    const many = Array.from({ length: 100 }, (_, i) => `h${i}.test`)
    const name = `ptr ${pointerName('2001:db8::7')}`
    expect(await askReverse(dnsOf({ [name]: ['h.test'], 'aaaa h.test': ['2001:DB8:0::7'] }), '2001:db8::7')).toEqual({
      name: 'h.test',
      confirmed: true,
    })
    const late = dnsOf({ [name]: many, 'aaaa h99.test': ['2001:db8::7'] })
    expect(await askReverse(late, '2001:db8::7')).toEqual({ name: 'h0.test', confirmed: false })
  })
})

describe('DNS block lists', () => {
  const listed = '7.100.51.198.bl.test'

  it('asks for the text only where the client is listed', async () => {
    const dns = dnsOf({ [`a ${listed}`]: ['127.0.0.2'], [`txt ${listed}`]: ['x'.repeat(1000)] })
    const heard = await askDnsbl(dns, '198.51.100.7', 'bl.test')
    expect(heard).toEqual({ zone: 'bl.test', answers: ['127.0.0.2'], text: 'x'.repeat(300) })
    expect(await askDnsbl(dns, '198.51.100.8', 'bl.test')).toEqual({ zone: 'bl.test', answers: [] })
  })

  it('a text that is not known is none; an answer that is not known is so', async () => {
    const dns = dnsOf({ [`a ${listed}`]: ['127.0.0.2'], [`txt ${listed}`]: 'not-known' })
    expect(await askDnsbl(dns, '198.51.100.7', 'bl.test')).toEqual({ zone: 'bl.test', answers: ['127.0.0.2'] })
    const dead = dnsOf({ [`a ${listed}`]: 'not-known' })
    expect(await askDnsbl(dead, '198.51.100.7', 'bl.test')).toEqual({ zone: 'bl.test', answers: 'not-known' })
  })
})

it('HELO: either kind of address is one; one that is not known hides that the other is none', async () => {
  expect(await askHelo(dnsOf({ 'a h.test': ['192.0.2.1'], 'aaaa h.test': 'not-known' }), 'H.test.')).toBe('resolves')
  expect(await askHelo(dnsOf({ 'aaaa h.test': ['2001:db8::1'] }), 'h.test')).toBe('resolves')
  expect(await askHelo(dnsOf({ 'aaaa h.test': 'not-known' }), 'h.test')).toBe('not-known')
  expect(await askHelo(dnsOf({}), 'h.test')).toBe('does-not-resolve')
})

it.each<[string, Record<string, Answer>, string]>([
  ['an MX', { 'mx d.test': ['mx.test'] }, 'mail'],
  ['a null MX', { 'mx d.test': [''], 'a d.test': ['192.0.2.1'] }, 'null-mx'],
  ['a null MX beside another, which is none', { 'mx d.test': ['', 'mx.test'] }, 'mail'],
  ['an address only', { 'a d.test': ['192.0.2.1'] }, 'mail'],
  ['an IPv6 address only', { 'aaaa d.test': ['2001:db8::1'] }, 'mail'],
  ['nothing', {}, 'none'],
  ['an MX that is not known', { 'mx d.test': 'not-known', 'a d.test': ['192.0.2.1'] }, 'not-known'],
  ['no MX, addresses that are not known', { 'a d.test': 'not-known' }, 'not-known'],
])('sender domain with %s', async (_what, data, expected) => {
  expect(await askSenderDomain(dnsOf(data), 'd.test')).toBe(expected)
})
