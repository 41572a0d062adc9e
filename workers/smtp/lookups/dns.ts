import { type DnsOptions, type Found, Dns as NetDns } from '@postern/net/dns.ts'

/** The DNS as the receiver asks it. What failed or took too long is `not-known`, never "no". Never rejects. */

/** The records; none when the name, or such a record of it, does not exist. */
export type Answer = readonly string[] | 'not-known'

const maxCached = 20_000
/** Remote clients decide how many names there are to ask for. */
const maxQueries = 1_000

export class Dns {
  readonly #dns: NetDns

  /** Throws when a server is not `address[:port]`. `timeoutMs`: for the first try. */
  constructor({ servers, timeoutMs = 1500, tries = 2 }: Pick<DnsOptions, 'servers' | 'timeoutMs' | 'tries'>) {
    this.#dns = new NetDns({ servers, timeoutMs, tries, maxCached, maxQueries })
  }

  async a(name: string): Promise<Answer> {
    return answerOf(await this.#dns.a(name))
  }

  async aaaa(name: string): Promise<Answer> {
    return answerOf(await this.#dns.aaaa(name))
  }

  /** Hosts without preference; the root is the empty text. */
  async mx(name: string): Promise<Answer> {
    const found = await this.#dns.mx(name)
    return found.kind === 'found' ? found.value.map(({ host }) => host) : answerOf(found)
  }

  /** Of a name below `in-addr.arpa` or `ip6.arpa`. */
  async ptr(name: string): Promise<Answer> {
    return answerOf(await this.#dns.ptr(name))
  }

  async txt(name: string): Promise<Answer> {
    return answerOf(await this.#dns.txt(name))
  }
}

const none: readonly string[] = []

function answerOf(found: Found<string[]> | Exclude<Found<never>, { kind: 'found' }>): Answer {
  if (found.kind === 'found') return found.value
  // A name that cannot exist has no records.
  return found.kind === 'not-known' && found.why !== 'EBADNAME' ? 'not-known' : none
}

/** Whether a host has an address of either kind. */
export async function hasAddress(dns: Pick<Dns, 'a' | 'aaaa'>, name: string): Promise<boolean | 'not-known'> {
  const [a, aaaa] = await Promise.all([dns.a(name), dns.aaaa(name)])
  if ((a !== 'not-known' && a.length > 0) || (aaaa !== 'not-known' && aaaa.length > 0)) return true
  return a === 'not-known' || aaaa === 'not-known' ? 'not-known' : false
}
