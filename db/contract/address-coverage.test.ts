import { describe, expect, it } from 'vitest'
import { tooBroad } from './address-coverage.ts'

const blocks = (count: number, of: (i: number) => string) => Array.from({ length: count }, (_, i) => of(i))

describe('a list that covers the Internet', () => {
  it.each([
    [['0.0.0.0/0']],
    [['0.0.0.0/1', '128.0.0.0/1']],
    [['192.0.2.0/24', '64.0.0.0/2']],
    [blocks(16, (i) => `${i * 16}.0.0.0/4`)],
    [blocks(256, (i) => `${i}.0.0.0/8`)],
    [blocks(256, (i) => `8.${i}.0.0/16`).concat('9.0.0.0/16')],
    [['::ffff:0.0.0.0/96']],
  ])('%j', (list) => expect(tooBroad(list)).toEqual(['IPv4']))

  it.each([[['::/0']], [['::/1', '8000::/1']], [['2000::/3']], [blocks(3, (i) => `200${i}::/16`)]])('%j', (list) =>
    expect(tooBroad(list)).toEqual(['IPv6']),
  )

  it('is none of these', () => {
    expect(tooBroad(['127.0.0.0/8', '::1', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/16'])).toEqual([])
    expect(tooBroad(['17.0.0.0/8', '17.1.0.0/16', '2001:db8::/32', 'nonsense'])).toEqual([])
    expect(tooBroad([])).toEqual([])
    expect(tooBroad(['0.0.0.0/0', '::/0'])).toEqual(['IPv4', 'IPv6'])
  })
})
