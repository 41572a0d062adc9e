import ipaddr from 'ipaddr.js'
import { parseBlock } from './ip-address.ts'

/** Measures how much of the Internet a list of address blocks covers, to detect a list larger than any single network. */

/** Limits: the public IPv4 addresses of a /8, and the global IPv6 space of a /16. */
const mostV4 = 1n << 24n
const mostV6 = 1n << 112n

type Range = { from: bigint; to: bigint }

/**
 * @param values addresses and blocks as lists keep them; other values are ignored
 * @returns the address families of which the list covers more than one network can have
 */
export function tooBroad(values: Iterable<string>): ('IPv4' | 'IPv6')[] {
  const v4: Range[] = []
  const v6: Range[] = []
  for (const value of values) {
    const block = parseBlock(value)
    if (!block) continue
    const from = numberOf(block.address.toByteArray())
    const isV4 = block.address.kind() === 'ipv4'
    const range = { from, to: from + (1n << BigInt((isV4 ? 32 : 128) - block.bits)) }
    if (isV4) v4.push(range)
    else v6.push(range)
  }
  return [
    ...(publicPart(v4, privateV4) > mostV4 ? (['IPv4'] as const) : []),
    ...(publicPart(v6, privateV6) > mostV6 ? (['IPv6'] as const) : []),
  ]
}

function publicPart(ranges: Range[], own: readonly Range[]): bigint {
  return sizeOf([...ranges, ...own]) - sizeOf([...own])
}

/** Counts the addresses in any of the ranges, each once. */
function sizeOf(ranges: Range[]): bigint {
  ranges.sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0))
  let size = 0n
  let end = 0n
  for (const { from, to } of ranges) {
    if (to <= end) continue
    size += to - (from > end ? from : end)
    end = to
  }
  return size
}

function numberOf(octets: readonly number[]): bigint {
  return octets.reduce((sum, octet) => (sum << 8n) | BigInt(octet), 0n)
}

/**
 * Ranges that are not part of the Internet. A list may name all of these (RFC 1918, RFC 6598, RFC 1122 §3.2.1.3, RFC
 * 3927, class E; RFC 4193, RFC 4291).
 */
const privateV4 = [
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '240.0.0.0/4',
].map(rangeOf)
const privateV6 = ['::1/128', 'fc00::/7', 'fe80::/10'].map(rangeOf)

function rangeOf(text: string): Range {
  const [address, bits] = ipaddr.parseCIDR(text)
  const from = numberOf(address.toByteArray())
  return { from, to: from + (1n << BigInt(address.toByteArray().length * 8 - bits)) }
}
