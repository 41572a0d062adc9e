import { blocksIn, type Environment } from '@postern/contract/environment.ts'
import { type AddressBlock, parseAddress, parseBlock } from '@postern/contract/network.ts'

/**
 * Which addresses a request may go to whose target an administrator typed: those of the public Internet, and what the
 * environment names. Everything else (this host, private and link-local networks, metadata services, multicast, ways to
 * wrap an IPv4 address in an IPv6 one) is refused, so that the console is no door into the network that Postern stands in.
 */
export type AllowedAddresses = {
  /** @returns why the address is out of reach, or `null` when it may be asked */
  refuses(address: string): string | null
}

/** From `POSTERN_HOOKS_MAY_REACH`. Throws an EnvironmentError. */
export function allowedAddressesFrom(env: Environment): AllowedAddresses {
  return allowedAddressesOf(blocksIn(env, 'POSTERN_HOOKS_MAY_REACH') ?? [])
}

/** `allowed`: addresses and CIDR blocks that may be reached besides the public Internet. */
export function allowedAddressesOf(allowed: readonly string[]): AllowedAddresses {
  const blocks = allowed.map((text) => parseBlock(text)).filter((block) => block !== null)
  return {
    refuses(text) {
      const address = parseAddress(text)
      if (!address) return `${text.slice(0, 60)} is not an address`
      if (blocks.some((block) => holds(block, address))) return null
      const range = rangeOf(address)
      if (range === 'unicast') return null
      return `${address} is ${rangeNames[range] ?? `a ${range} address`}, which only POSTERN_HOOKS_MAY_REACH can open`
    },
  }
}

type Address = NonNullable<ReturnType<typeof parseAddress>>

function holds(block: AddressBlock, address: Address): boolean {
  return block.address.kind() === address.kind() && address.match(block.address as never, block.bits)
}

/** `unicast` is said only of what the registries give out: IPv6 outside 2000::/3 is nobody's (RFC 4291 §2.4, RFC 3587). */
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
