import { Resolver } from 'node:dns/promises'
import { LRUCache } from 'lru-cache'

/**
 * The DNS client of the workers. It caches answers, and callers share a query in progress. A look-up that failed or
 * timed out is `not-known`, never "no". Never rejects.
 */

export type Found<T> =
  | { kind: 'found'; value: T }
  /** The name exists but has no such record. */
  | { kind: 'empty' }
  /** NXDOMAIN. */
  | { kind: 'no-name' }
  /** `why`: the error code, e.g. ETIMEOUT, ESERVFAIL, EBADNAME. */
  | { kind: 'not-known'; why: string }

export type Mx = { host: string; preference: number }

export type DnsOptions = {
  /** `address[:port]` each. Empty: the system's servers. */
  servers: readonly string[]
  /** Time-out of the first try in milliseconds. */
  timeoutMs?: number
  tries?: number
  /** Maximum number of names in the cache. The least recently used are removed first. */
  maxCached?: number
  /**
   * Maximum number of concurrent queries. Further ones are `not-known` at once. Set this if remote clients determine
   * the queries.
   */
  maxQueries?: number
}

/** Seconds. Node returns the TTL only for addresses. */
const cacheOther = 120
const cacheMissing = 60
const cacheFailure = 5
const cacheLongest = 300

type Records<T> = { value: T[]; seconds: number }

export class Dns {
  readonly #resolver: Resolver
  readonly #cache: LRUCache<string, Promise<Found<unknown[]>>>
  readonly #maxQueries: number
  #queries = 0

  /** Throws if a server is not `address[:port]`. */
  constructor({ servers, timeoutMs = 5000, tries = 3, maxCached = 50_000, maxQueries }: DnsOptions) {
    this.#resolver = new Resolver({ timeout: timeoutMs, tries })
    if (servers.length > 0) this.#resolver.setServers(servers)
    this.#cache = new LRUCache({ max: maxCached })
    this.#maxQueries = maxQueries ?? Number.POSITIVE_INFINITY
  }

  a(host: string): Promise<Found<string[]>> {
    return this.#ask(`a ${host}`, async () => addresses(await this.#resolver.resolve4(host, { ttl: true })))
  }

  aaaa(host: string): Promise<Found<string[]>> {
    return this.#ask(`aaaa ${host}`, async () => addresses(await this.#resolver.resolve6(host, { ttl: true })))
  }

  /** Looks up MX records. The host of a null MX is the empty string. */
  mx(domain: string): Promise<Found<Mx[]>> {
    return this.#ask(`mx ${domain}`, async () => {
      const records = await this.#resolver.resolveMx(domain)
      return others(records.map(({ exchange, priority }) => ({ host: hostName(exchange), preference: priority })))
    })
  }

  /** Looks up a name below `in-addr.arpa` or `ip6.arpa`. */
  ptr(name: string): Promise<Found<string[]>> {
    return this.#ask(`ptr ${name}`, async () => others((await this.#resolver.resolvePtr(name)).map(hostName)))
  }

  /** Looks up TXT records; returns each record as one string. */
  txt(name: string): Promise<Found<string[]>> {
    return this.#ask(`txt ${name}`, async () => {
      const records = await this.#resolver.resolveTxt(name)
      return others(records.map((parts) => parts.join('')))
    })
  }

  clear(): void {
    this.#cache.clear()
  }

  #ask<T>(key: string, query: () => Promise<Records<T>>): Promise<Found<T[]>> {
    const cached = this.#cache.get(key)
    if (cached) return cached as Promise<Found<T[]>>
    if (this.#queries >= this.#maxQueries) return Promise.resolve({ kind: 'not-known', why: 'too many queries' })
    this.#queries++
    const cache = (seconds: number) => {
      // A late answer is not cached after clear().
      if (this.#cache.peek(key) === answer) this.#cache.set(key, answer, { ttl: seconds * 1000 })
    }
    const answer: Promise<Found<T[]>> = query()
      .then(
        ({ value, seconds }): Found<T[]> => {
          cache(Math.min(Math.max(seconds, 1), cacheLongest))
          return value.length > 0 ? { kind: 'found', value } : { kind: 'empty' }
        },
        (error: NodeJS.ErrnoException): Found<T[]> => {
          const missing = missingOf(error)
          cache(missing.kind === 'not-known' ? cacheFailure : cacheMissing)
          return missing
        },
      )
      .finally(() => {
        this.#queries--
      })
    this.#cache.set(key, answer)
    return answer
  }
}

type Missing = Exclude<Found<never>, { kind: 'found' }>

function missingOf(error: NodeJS.ErrnoException): Missing {
  switch (error.code) {
    case 'ENOTFOUND':
      return { kind: 'no-name' }
    case 'ENODATA':
      return { kind: 'empty' }
    default:
      return { kind: 'not-known', why: error.code ?? error.message }
  }
}

function addresses(records: { address: string; ttl: number }[]): Records<string> {
  return {
    value: records.map(({ address }) => address),
    seconds: Math.min(...records.map(({ ttl }) => ttl), cacheLongest),
  }
}

function others<T>(value: T[]): Records<T> {
  return { value, seconds: cacheOther }
}

function hostName(host: string): string {
  return host.toLowerCase().replace(/\.$/, '')
}
