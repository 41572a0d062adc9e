import { parseAddress } from './network.ts'

/**
 * The name this server goes by in its banner, EHLO, Received, Authentication-Results, DSNs and Message-IDs: RFC 5321 §2.3.5
 * asks for a fully-qualified one. A name without a dot gets `.localdomain`, as Postfix makes `myhostname`; an address becomes
 * a literal (§4.1.3). `machine` stands in for a host name that is not set.
 */
export function hostNameOf(hostname: string, machine: string): string {
  const name = (hostname || machine || 'localhost').replace(/\.$/, '')
  const address = /[\da-f:]$/i.test(name) ? parseAddress(name) : null
  if (address) return `[${address.kind() === 'ipv6' ? 'IPv6:' : ''}${address.toString()}]`
  return isBare(name) ? `${name}.localdomain` : name
}

/** Whether it is no fully-qualified name. */
export function isBare(name: string): boolean {
  return !name.includes('.') && !name.includes(':')
}

/** Whether many machines may go by this name: it says nothing about which one it is. */
export function isOfMany(name: string): boolean {
  return isBare(name) || /\.localdomain$/i.test(name)
}
