import ipaddr from 'ipaddr.js'

/** Addresses and address blocks, each in one canonical spelling. IPv4-mapped IPv6 addresses become IPv4. */

export type AddressBlock = { address: ipaddr.IPv4 | ipaddr.IPv6; bits: number }

const decimalV4 = /^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/

/**
 * Parses `192.0.2.1`, `2001:db8::1`, `[2001:db8::1]` or `IPv6:…`. Returns `null` for anything else. Octal, hex and zone
 * ids are refused.
 */
export function parseAddress(text: string): ipaddr.IPv4 | ipaddr.IPv6 | null {
  const bare = text.replace(/^\[|\]$/g, '').replace(/^ipv6:/i, '')
  if (bare.includes('%')) return null
  if (!bare.includes(':') && !decimalV4.test(bare)) return null
  if (!ipaddr.isValid(bare)) return null
  return ipaddr.process(bare)
}

/** Parses an address or a CIDR block and clears the host bits. Returns `null` if the text is neither. */
export function parseBlock(text: string): AddressBlock | null {
  const [head = '', tail, ...rest] = text.trim().split('/')
  if (rest.length > 0) return null
  const mapped = /^\[?::ffff:\d+\.\d+\.\d+\.\d+\]?$/i.test(head)
  const address = parseAddress(head)
  if (!address) return null
  const width = address.kind() === 'ipv4' ? 32 : 128
  if (tail === undefined) return { address, bits: width }
  if (!/^\d{1,3}$/.test(tail)) return null
  const bits = mapped ? Number(tail) - 96 : Number(tail)
  if (bits < 0 || bits > width) return null
  return { address: clearHostBits(address, bits), bits }
}

function clearHostBits(address: ipaddr.IPv4 | ipaddr.IPv6, bits: number): ipaddr.IPv4 | ipaddr.IPv6 {
  const bytes = address.toByteArray()
  for (let i = 0; i < bytes.length; i++) {
    const keep = Math.min(8, Math.max(0, bits - i * 8))
    bytes[i] = (bytes[i] ?? 0) & (0xff << (8 - keep)) & 0xff
  }
  return ipaddr.fromByteArray(bytes)
}

/** Formats a block as `192.0.2.0/24`, or as a bare address if it holds only one. */
export function formatBlock({ address, bits }: AddressBlock): string {
  const full = address.kind() === 'ipv4' ? 32 : 128
  return bits === full ? address.toString() : `${address.toString()}/${bits}`
}

/** Returns the canonical text of an address, or `null`. */
export function canonicalAddress(text: string): string | null {
  return parseAddress(text)?.toString() ?? null
}
