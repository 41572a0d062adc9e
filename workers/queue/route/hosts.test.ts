import type { Found, Mx } from '@postern/net/dns.ts'
import { expect, test } from 'vitest'
import { hostsFor, type Questions } from './hosts.ts'

type Zone = {
  mx?: Record<string, [number, string][] | 'servfail' | 'nxdomain'>
  a?: Record<string, string[] | 'servfail'>
  aaaa?: Record<string, string[]>
}

function dns(zone: Zone): Questions {
  const answer = <T>(records: T[] | 'servfail' | 'nxdomain' | undefined): Promise<Found<T[]>> =>
    Promise.resolve(
      records === undefined
        ? { kind: 'empty' }
        : records === 'servfail'
          ? { kind: 'not-known', why: 'ESERVFAIL' }
          : records === 'nxdomain'
            ? { kind: 'no-name' }
            : { kind: 'found', value: records },
    )
  return {
    mx: (name) => {
      const records = zone.mx?.[name]
      return answer(Array.isArray(records) ? records.map(([preference, host]): Mx => ({ preference, host })) : records)
    },
    a: (name) => answer(zone.a?.[name]),
    aaaa: (name) => answer(zone.aaaa?.[name]),
  }
}

const ask = (domain: string, zone: Zone, random = () => 0.5) =>
  hostsFor(
    { kind: 'mx', domain, tls: 'opportunistic' },
    {
      dns: dns(zone),
      port: 25,
      random,
      ownAddresses: { hostname: 'us.test', isOurs: (address) => address === '192.0.2.99', listensOn: () => false },
    },
  )
const names = async (answer: ReturnType<typeof ask>) => {
  const hosts = await answer
  return hosts.kind === 'hosts' ? hosts.peers.map(({ host, address }) => `${host} ${address}`) : hosts.status
}

const a = { 'm1.test': ['192.0.2.1'], 'm2.test': ['192.0.2.2'], 'm3.test': ['192.0.2.3'], 'us.test': ['192.0.2.99'] }

test('by preference, IPv4 and IPv6', async () => {
  const zone = {
    mx: {
      'a.test': [
        [20, 'm2.test'],
        [10, 'm1.test'],
      ] as [number, string][],
    },
    a,
    aaaa: { 'm1.test': ['2001:db8::1'] },
  }
  expect(await names(ask('a.test', zone))).toEqual(['m1.test 192.0.2.1', 'm1.test 2001:db8::1', 'm2.test 192.0.2.2'])
})

test('equal preferences in any order', async () => {
  const zone = {
    mx: {
      'a.test': [
        [10, 'm1.test'],
        [10, 'm2.test'],
        [10, 'm3.test'],
      ] as [number, string][],
    },
    a,
  }
  const orders = new Set<string>()
  for (let i = 0; i < 200; i++) orders.add(String(await names(ask('a.test', zone, Math.random))))
  expect(orders.size).toBe(6)
})

test.each<[string, Zone, string[] | string]>([
  ['no MX: the address of the domain', { a: { 'a.test': ['192.0.2.7'] } }, ['a.test 192.0.2.7']],
  ['no MX, IPv6 only', { aaaa: { 'a.test': ['2001:db8::7'] } }, ['a.test 2001:db8::7']],
  ['null MX', { mx: { 'a.test': [[0, '']] } }, '5.1.10'],
  [
    'NXDOMAIN for MX, and an address all the same',
    { mx: { 'a.test': 'nxdomain' }, a: { 'a.test': ['192.0.2.7'] } },
    ['a.test 192.0.2.7'],
  ],
  [
    'NXDOMAIN for MX, IPv6 only',
    { mx: { 'a.test': 'nxdomain' }, aaaa: { 'a.test': ['2001:db8::7'] } },
    ['a.test 2001:db8::7'],
  ],
  ['NXDOMAIN for MX, address not known', { mx: { 'a.test': 'nxdomain' }, a: { 'a.test': 'servfail' } }, '4.4.3'],
  ['no such domain', { mx: { 'a.test': 'nxdomain' } }, '5.1.2'],
  ['a domain without anything', {}, '5.1.2'],
  ['MX not known', { mx: { 'a.test': 'servfail' } }, '4.4.3'],
  ['address not known', { a: { 'a.test': 'servfail' } }, '4.4.3'],
  [
    'an MX host without address, another with',
    {
      mx: {
        'a.test': [
          [5, 'none.test'],
          [10, 'm1.test'],
        ],
      },
      a,
    },
    ['m1.test 192.0.2.1'],
  ],
  ['no MX host has an address', { mx: { 'a.test': [[5, 'none.test']] }, a }, '5.4.4'],
  [
    'an MX host whose address is not known',
    { mx: { 'a.test': [[5, 'x.test']] }, a: { 'x.test': 'servfail' } },
    '4.4.3',
  ],
  [
    'we are the best MX',
    {
      mx: {
        'a.test': [
          [10, 'us.test'],
          [20, 'm1.test'],
        ],
      },
      a,
    },
    '5.4.6',
  ],
  [
    'we are one of the best',
    {
      mx: {
        'a.test': [
          [10, 'us.test'],
          [10, 'm1.test'],
        ],
      },
      a,
    },
    '5.4.6',
  ],
  [
    'we are a backup',
    {
      mx: {
        'a.test': [
          [10, 'm1.test'],
          [20, 'us.test'],
          [30, 'm2.test'],
        ],
      },
      a,
    },
    ['m1.test 192.0.2.1'],
  ],
  ['our address under another name', { mx: { 'a.test': [[10, 'x.test']] }, a: { 'x.test': ['192.0.2.99'] } }, '5.4.6'],
  ['we are the domain', { a: { 'a.test': ['192.0.2.99'] } }, '5.4.6'],
  [
    'at most five addresses',
    { mx: { 'a.test': [[1, 'm.test']] }, a: { 'm.test': ['1', '2', '3', '4', '5', '6'].map((n) => `192.0.2.1${n}`) } },
    ['11', '12', '13', '14', '15'].map((n) => `m.test 192.0.2.${n}`),
  ],
])('%s', async (_name, zone, expected) => {
  expect(await names(ask('a.test', zone))).toEqual(expected)
})

test('address literals', async () => {
  const context = {
    dns: dns({}),
    port: 25,
    ownAddresses: {
      hostname: 'us.test',
      isOurs: (address: string) => address === '192.0.2.99',
      listensOn: () => false,
    },
  }
  const literal = (address: string) => hostsFor({ kind: 'address', address, tls: 'none' }, context)
  expect(await literal('[192.0.2.5]')).toMatchObject({ peers: [{ address: '192.0.2.5', port: 25 }] })
  expect(await literal('[IPv6:2001:db8::5]')).toMatchObject({ peers: [{ address: '2001:db8::5' }] })
  expect(await literal('[192.0.2.99]')).toMatchObject({ status: '5.4.6' })
  expect(await literal('[nonsense]')).toMatchObject({ status: '5.1.3' })
})
