import { BlockList } from 'node:net'
import { parseBlock } from '@postern/contract/network.ts'
import type { Policy } from '@postern/policy/policy.ts'

/** Whose word on a client's address is believed. */
export type Trusted = { has(ip: string): boolean }

const nobody: Trusted = { has: () => false }
const known = new WeakMap<Policy, Trusted>()

/** Of the environment, which wins over the setting. */
export function trustedByEnvironment(blocks: readonly string[]): Trusted {
  return compile(blocks)
}

/** The blocks of `advanced.proxyProtocol`, compiled once for each policy. */
export function trustedBlocks(policy: Policy): Trusted {
  const found = known.get(policy)
  if (found) return found
  const made = compile(policy.settings.advanced.proxyProtocol)
  known.set(policy, made)
  return made
}

function compile(blocks: readonly string[]): Trusted {
  if (blocks.length === 0) return nobody
  const list = new BlockList()
  for (const text of blocks) {
    const block = parseBlock(text)
    if (block) list.addSubnet(block.address.toString(), block.bits, block.address.kind())
  }
  return { has: (ip) => list.check(ip, ip.includes(':') ? 'ipv6' : 'ipv4') }
}
