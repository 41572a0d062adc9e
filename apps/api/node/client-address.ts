import { getConnInfo } from '@hono/node-server/conninfo'
import { canonicalAddress } from '@postern/contract/ip-address.ts'
import { addressBlocks, findBlock } from '@postern/policy/address-blocks.ts'
import type { Context } from 'hono'
import type { Dependencies } from '../dependencies.ts'

/**
 * Finds the client's address. `X-Forwarded-For` is only trusted from `proxies`, and is read from its end: the last
 * address that is not one of our proxies is the client. Earlier entries can be forged.
 */
export function clientAddressBehind(proxies: readonly string[]): Dependencies['clientAddress'] {
  const { blocks, add } = addressBlocks()
  for (const value of proxies) add({ value, createdBy: 'environment', createdAt: '' })
  const isProxy = (address: string) => findBlock(blocks, address, 0) !== undefined
  return (context) => {
    const { req } = context as Context
    const peer = canonicalAddress(getConnInfo(context as Context).remote.address ?? '') ?? undefined
    if (peer === undefined || !isProxy(peer)) return peer
    const named = (req.header('x-forwarded-for') ?? '').split(',').map((text) => canonicalAddress(text.trim()))
    for (const address of named.reverse()) {
      if (address === null) return peer
      if (!isProxy(address)) return address
    }
    return peer
  }
}
