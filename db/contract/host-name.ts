import { parseAddress } from './ip-address.ts'

/**
 * Returns this server's name for its banner, EHLO, Received, Authentication-Results, DSNs and Message-IDs. RFC 5321
 * §2.3.5 requires a fully-qualified name. A name without a dot gets `.localdomain`, as in Postfix's `myhostname`. An
 * address becomes a literal (§4.1.3). `machine` is used if no host name is set.
 */
export function hostNameOf(hostname: string, machine: string): string {
  const name = (hostname || machine || 'localhost').replace(/\.$/, '')
  const address = /[\da-f:]$/i.test(name) ? parseAddress(name) : null
  if (address) return `[${address.kind() === 'ipv6' ? 'IPv6:' : ''}${address.toString()}]`
  return isBare(name) ? `${name}.localdomain` : name
}

/** Returns whether the name is not fully qualified. */
export function isBare(name: string): boolean {
  return !name.includes('.') && !name.includes(':')
}

/** Returns whether many machines may have this name, so that it does not identify one. */
export function isOfMany(name: string): boolean {
  return isBare(name) || /\.localdomain$/i.test(name)
}
