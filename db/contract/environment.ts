import { parseAddress, parseBlock } from './ip-address.ts'

/** Reads values from the environment in the same way for every process. Pure: the entry file passes in its variables. */
export type Environment = Readonly<Record<string, string | undefined>>

/** A variable has an unusable value. The message names the variable, its value and the allowed values. */
export class EnvironmentError extends Error {
  override name = 'EnvironmentError'
}

/**
 * Reads a port; 0 means any free port. Returns `undefined` if the variable is absent or empty. Throws an
 * EnvironmentError.
 */
export function portIn(env: Environment, name: string): number | undefined {
  const text = env[name]
  if (!text) return undefined
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535)
    throw new EnvironmentError(`${name} is "${text}" but must be a port from 0 to 65535 (0: any free one)`)
  return Number(text)
}

/**
 * Reads a comma-separated list of `address[:port]` (`[address]:port` for IPv6). Returns `undefined` if the variable is
 * absent or empty. Throws an EnvironmentError.
 */
export function serversIn(env: Environment, name: string): string[] | undefined {
  const text = env[name]
  if (!text) return undefined
  const servers = text.split(',').map((server) => server.trim())
  const wrong = servers.find((server) => !isServer(server))
  if (wrong === undefined) return servers
  throw new EnvironmentError(
    `${name} contains "${wrong}" but must be a comma-separated list of addresses, each with or without :port`,
  )
}

function isServer(text: string): boolean {
  if (parseAddress(text)) return true
  const [, address = '', port = ''] = /^(\[[^\]]+\]|[^:]+):(\d{1,5})$/.exec(text) ?? []
  return parseAddress(address) !== null && Number(port) > 0 && Number(port) < 65_536
}

/**
 * Reads a comma-separated list of addresses and CIDR blocks. Returns `undefined` if the variable is absent or empty.
 * Throws an EnvironmentError.
 */
export function blocksIn(env: Environment, name: string): string[] | undefined {
  const text = env[name]
  if (!text) return undefined
  const blocks = text.split(',').map((block) => block.trim())
  const wrong = blocks.find((block) => parseBlock(block) === null)
  if (wrong === undefined) return blocks
  throw new EnvironmentError(
    `${name} contains "${wrong}" but must be a comma-separated list of addresses or CIDR blocks`,
  )
}

/** Maps default ports that an unprivileged process cannot bind to the ports that it uses instead. */
export const insteadOf: ReadonlyMap<number, number> = new Map([
  [25, 2525],
  [587, 2587],
  [465, 2465],
])
