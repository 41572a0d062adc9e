import { lookup } from 'node:dns/promises'
import { serversIn } from '@postern/contract/environment.ts'
import { parseAddress } from '@postern/contract/ip-address.ts'
import { Dns, type Found } from '../dns.ts'
import { type AllowedAddresses, allowedAddressesFrom } from './allowed-addresses.ts'
import { HookFailure } from './hook-failure.ts'

/**
 * Resolves names to allowed addresses. Each resolved address is checked, and the connection goes to exactly that
 * address. A name that later resolves differently (DNS rebinding) thus has no effect.
 */
export class CheckedHosts {
  readonly #reach: AllowedAddresses
  readonly #resolve: (host: string) => Promise<string[]>

  constructor(reach: AllowedAddresses, resolve: (host: string) => Promise<string[]>) {
    this.#reach = reach
    this.#resolve = resolve
  }

  /**
   * Returns at least one address, in the order of the answer. Rejects with HookFailure: forbidden, unreachable or
   * timeout.
   */
  async addressesOf(host: string, timeoutMs: number): Promise<string[]> {
    const bare = host.replace(/^\[|\]$/g, '')
    const found = parseAddress(bare) ? [bare] : await this.#ask(bare, timeoutMs)
    if (found.length === 0) throw new HookFailure('unreachable', `${host} has no address`)
    const refusals = found.map((address) => this.#reach.refuses(address))
    const open = found.filter((_, i) => refusals[i] === null)
    if (open.length === 0) throw new HookFailure('forbidden', `${host}: ${refusals[0]}`)
    return open.map((address) => String(parseAddress(address)))
  }

  async #ask(host: string, timeoutMs: number): Promise<string[]> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new HookFailure('timeout', `the lookup of ${host} timed out`)), timeoutMs)
    })
    try {
      return await Promise.race([this.#resolve(host), late])
    } catch (error) {
      if (error instanceof HookFailure) throw error
      const { code } = error as NodeJS.ErrnoException
      throw new HookFailure('unreachable', `the address of ${host} was not found: ${code ?? (error as Error).message}`)
    } finally {
      clearTimeout(timer)
    }
  }
}

/** Reads `POSTERN_DNS_SERVERS` and `POSTERN_HOOKS_MAY_REACH`. Throws an EnvironmentError. */
export function hostsFrom(env: NodeJS.ProcessEnv): CheckedHosts {
  const servers = serversIn(env, 'POSTERN_DNS_SERVERS') ?? []
  return new CheckedHosts(allowedAddressesFrom(env), servers.length > 0 ? askServers(servers) : askSystem)
}

/** Uses the system's resolver, which also reads /etc/hosts. */
async function askSystem(host: string): Promise<string[]> {
  return (await lookup(host, { all: true, order: 'ipv4first' })).map(({ address }) => address)
}

function askServers(servers: string[]): (host: string) => Promise<string[]> {
  const dns = new Dns({ servers, timeoutMs: 3000, tries: 2, maxCached: 1000 })
  return async (host) => {
    const answers = await Promise.all([dns.a(host), dns.aaaa(host)])
    const addresses = answers.flatMap((answer) => (answer.kind === 'found' ? answer.value : []))
    if (addresses.length > 0) return addresses
    throw Object.assign(new Error(`${host} has no address`), { code: codeOf(answers[0]) })
  }
}

function codeOf(answer: Found<string[]>): string {
  if (answer.kind === 'not-known') return answer.why
  return answer.kind === 'no-name' ? 'ENOTFOUND' : 'ENODATA'
}
