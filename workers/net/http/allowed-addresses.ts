import { blocksIn, type Environment } from '@postern/contract/environment.ts'
import { type AddressBlock, parseAddress, parseBlock } from '@postern/contract/ip-address.ts'

/**
 * Restricts requests to URLs that administrators enter: to addresses of the public Internet and those in the
 * environment. All others are refused (this host, private and link-local networks, metadata services, multicast, IPv6
 * forms that wrap IPv4 addresses), so that the console gives no access to the network where Postern runs.
 */
export type AllowedAddresses = {
  /** @returns why requests to the address are refused, or `null` if they are allowed */
  refuses(address: string): string | null
}

/** Reads `POSTERN_HOOKS_MAY_REACH`. Throws an EnvironmentError. */
export function allowedAddressesFrom(env: Environment): AllowedAddresses {
  return allowedAddressesOf(blocksIn(env, 'POSTERN_HOOKS_MAY_REACH') ?? [])
}

/** `allowed`: addresses and CIDR blocks that are allowed in addition to the public Internet. */
export function allowedAddressesOf(allowed: readonly string[]): AllowedAddresses {
  const blocks = allowed.map((text) => parseBlock(text)).filter((block) => block !== null)
  return {
    refuses(text) {
      const address = parseAddress(text)
      if (!address) return `${text.slice(0, 60)} is not an address`
      if (blocks.some((block) => holds(block, address))) return null
      const range = rangeOf(address)
      if (range === 'unicast') return null
      return `${address} is ${rangeNames[range] ?? `a ${range} address`}; to allow it, add it to POSTERN_HOOKS_MAY_REACH`
    },
  }
}

type Address = NonNullable<ReturnType<typeof parseAddress>>

function holds(block: AddressBlock, address: Address): boolean {
  return block.address.kind() === address.kind() && address.match(block.address as never, block.bits)
}

/**
 * Returns the range of an address. Only assigned addresses count as `unicast`: IPv6 outside 2000::/3 is unassigned (RFC
 * 4291 §2.4, RFC 3587).
 */
function rangeOf(address: Address): string {
  const range = address.range()
  const isGlobal = address.kind() === 'ipv4' || ((address.toByteArray()[0] as number) & 0xe0) === 0x20
  return range === 'unicast' && !isGlobal ? 'reserved' : range
}

const rangeNames: Readonly<Record<string, string>> = {
  loopback: 'a loopback address',
  private: 'a private address',
  uniqueLocal: 'a private address',
  carrierGradeNat: 'an address behind carrier-grade NAT',
  linkLocal: 'a link-local address',
  multicast: 'a multicast address',
  unspecified: 'an unspecified address',
  reserved: 'a reserved address',
}
