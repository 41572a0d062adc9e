import { BlockList } from 'node:net'
import { parseBlock } from '@postern/contract/ip-address.ts'
import type { Policy } from '@postern/policy/policy.ts'

/** The balancers whose PROXY header is accepted. */
export type TrustedProxies = { has(ip: string): boolean }

const none: TrustedProxies = { has: () => false }
const known = new WeakMap<Policy, TrustedProxies>()

/** From the environment, which takes precedence over the setting. */
export function trustedProxiesFrom(blocks: readonly string[]): TrustedProxies {
  return compile(blocks)
}

/** The blocks of `advanced.proxyProtocol`, compiled once for each policy. */
export function trustedProxiesOf(policy: Policy): TrustedProxies {
  const found = known.get(policy)
  if (found) return found
  const made = compile(policy.settings.advanced.proxyProtocol)
  known.set(policy, made)
  return made
}

function compile(blocks: readonly string[]): TrustedProxies {
  if (blocks.length === 0) return none
  const list = new BlockList()
  for (const text of blocks) {
    const block = parseBlock(text)
    if (block) list.addSubnet(block.address.toString(), block.bits, block.address.kind())
  }
  return { has: (ip) => list.check(ip, ip.includes(':') ? 'ipv6' : 'ipv4') }
}
