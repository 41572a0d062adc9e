import { parseAddress } from '@postern/contract/ip-address.ts'

/** Client addresses as the DNS and the greylist use them. They are canonical: dotted, or lower-case and shortened. */

const own =
  /^(?:127\.|10\.|192\.168\.|169\.254\.|172\.(?:1[6-9]|2\d|3[01])\.|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.|::1$|f[cd]|fe[89ab])/

/** Loopback, private, link-local, shared (RFC 6890): the public DNS knows nothing of them. */
export function isOwnNetwork(ip: string): boolean {
  return own.test(ip)
}

/** `1.2.0.192`, or 32 nibbles (RFC 5782 §2.1, §2.4; RFC 3596 §2.5): the part before the zone. */
export function reversed(ip: string): string {
  if (!ip.includes(':')) return ip.split('.').reverse().join('.')
  return [...hexOf(ip)].reverse().join('.')
}

/** The name that a PTR record of this address has. */
export function pointerName(ip: string): string {
  return `${reversed(ip)}.${ip.includes(':') ? 'ip6' : 'in-addr'}.arpa`
}

/** The /24 or /64 of an address: a sender may retry from any host in it. */
export function networkOf(ip: string): string {
  return ip.includes(':') ? hexOf(ip).slice(0, 16) : ip.slice(0, ip.lastIndexOf('.'))
}

function hexOf(ip: string): string {
  const bytes = parseAddress(ip)?.toByteArray() ?? []
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('')
}
