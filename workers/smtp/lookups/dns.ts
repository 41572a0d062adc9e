import { Resolver } from 'node:dns/promises'
import { LRUCache } from 'lru-cache'

/** Asks the DNS and keeps what it heard for a while. What failed or took too long is `not-known`, never "no". Rejects never. */

/** The records; none when the name, or such a record of it, does not exist. */
export type Answer = readonly string[] | 'not-known'

export type DnsParts = {
  /** `address[:port]` each; empty: the system's. */
  servers: readonly string[]
  /** Milliseconds for the first try. */
  timeoutMs?: number
  tries?: number
}

const maxKept = 20_000
/** More questions at once than this are not asked: strangers decide how many there are. */
const maxAtOnce = 1_000
/** Seconds. Node tells the TTL of addresses only. */
const keepOthers = 120
const keepNone = 60
const keepFailure = 5
const keepLongest = 300

type Heard = { records: readonly string[]; seconds: number }

export class Dns {
  readonly #resolver: Resolver
  readonly #kept = new LRUCache<string, Promise<Answer>>({ max: maxKept })
  #asking = 0

  /** Throws when a server is no `address[:port]`. */
  constructor({ servers, timeoutMs = 1500, tries = 2 }: DnsParts) {
    this.#resolver = new Resolver({ timeout: timeoutMs, tries })
    if (servers.length > 0) this.#resolver.setServers(servers)
  }

  a(name: string): Promise<Answer> {
    return this.#ask(`a ${name}`, async () => addresses(await this.#resolver.resolve4(name, { ttl: true })))
  }

  aaaa(name: string): Promise<Answer> {
    return this.#ask(`aaaa ${name}`, async () => addresses(await this.#resolver.resolve6(name, { ttl: true })))
  }

  /** Hosts without preference; the root is the empty text. */
  mx(name: string): Promise<Answer> {
    return this.#ask(`mx ${name}`, async () =>
      others((await this.#resolver.resolveMx(name)).map(({ exchange }) => plain(exchange))),
    )
  }

  /** Of a name below `in-addr.arpa` or `ip6.arpa`. */
  ptr(name: string): Promise<Answer> {
    return this.#ask(`ptr ${name}`, async () => others((await this.#resolver.resolvePtr(name)).map(plain)))
  }

  txt(name: string): Promise<Answer> {
    return this.#ask(`txt ${name}`, async () =>
      others((await this.#resolver.resolveTxt(name)).map((parts) => parts.join(''))),
    )
  }

  /** Whoever asks while the answer is on its way shares it. */
  #ask(key: string, look: () => Promise<Heard>): Promise<Answer> {
    const kept = this.#kept.get(key)
    if (kept) return kept
    if (this.#asking >= maxAtOnce) return Promise.resolve('not-known')
    this.#asking++
    const keep = (seconds: number) => this.#kept.set(key, answer, { ttl: seconds * 1000 })
    const answer: Promise<Answer> = look()
      .then(
        ({ records, seconds }): Answer => {
          keep(Math.min(Math.max(seconds, 1), keepLongest))
          return records
        },
        (error: NodeJS.ErrnoException): Answer => {
          const isNone = none.has(error.code ?? '')
          keep(isNone ? keepNone : keepFailure)
          return isNone ? [] : 'not-known'
        },
      )
      .finally(() => {
        this.#asking--
      })
    this.#kept.set(key, answer)
    return answer
  }
}

/** No such name, no such record, and a name that cannot be one. */
const none = new Set(['ENOTFOUND', 'ENODATA', 'EBADNAME'])

function addresses(records: { address: string; ttl: number }[]): Heard {
  return { records: records.map(({ address }) => address), seconds: Math.min(...records.map(({ ttl }) => ttl)) }
}

function others(records: string[]): Heard {
  return { records, seconds: keepOthers }
}

function plain(host: string): string {
  return host.toLowerCase().replace(/\.$/, '')
}

/** Whether a host has an address of either kind. */
export async function hasAddress(dns: Pick<Dns, 'a' | 'aaaa'>, name: string): Promise<boolean | 'not-known'> {
  const [a, aaaa] = await Promise.all([dns.a(name), dns.aaaa(name)])
  if ((a !== 'not-known' && a.length > 0) || (aaaa !== 'not-known' && aaaa.length > 0)) return true
  return a === 'not-known' || aaaa === 'not-known' ? 'not-known' : false
}
