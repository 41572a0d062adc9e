import { Resolver } from 'node:dns/promises'
import { LRUCache } from 'lru-cache'

/**
 * The DNS interface for mailauth: records, or an error with a code. Answers are cached for a while, and callers share a
 * query in progress. If the resolver no longer answers at all, queries fail at once for a few seconds, so that mail
 * does not wait for it.
 */

export type RecordType = 'TXT' | 'A' | 'AAAA' | 'MX' | 'PTR' | 'CNAME'
/** Rejects with an error whose `code` is ENOTFOUND, ENODATA, or the cause of the failure. */
export type Resolve = (name: string, type: string) => Promise<unknown[]>

const maxKept = 20_000
/** Seconds. Node returns no TTL for most record types. */
const keepFound = 120
const keepNone = 60
const keepFailure = 5
/** Number of consecutive failures after which the resolver counts as down, and the duration in milliseconds. */
const downAfter = 20
const downForMs = 5_000
/** Maximum number of records in one answer. Mail needs no more, and they cost memory. */
const maxRecords = 100

const keyOf = (name: string, type: string) => `${type} ${name.toLowerCase()}`
const isNone = (code: string | undefined) => code === 'ENOTFOUND' || code === 'ENODATA'

export class CachingResolver {
  readonly #resolver: Resolver
  readonly #kept = new LRUCache<string, Promise<unknown[]>>({ max: maxKept })
  readonly #found = new LRUCache<string, object>({ max: maxKept })
  #failures = 0
  #downUntil = 0

  /** `servers`: `address[:port]` each; empty: the system's servers. Throws if one is invalid. */
  constructor(servers: readonly string[], { timeoutMs = 2000, tries = 2 } = {}) {
    this.#resolver = new Resolver({ timeout: timeoutMs, tries })
    if (servers.length > 0) this.#resolver.setServers(servers)
  }

  readonly resolve: Resolve = (name, type) => {
    const key = keyOf(name, type)
    const kept = this.#kept.get(key)
    if (kept) return kept
    if (performance.now() < this.#downUntil) return Promise.reject(failure('ETIMEOUT', 'the DNS does not answer'))
    const keep = (seconds: number) => this.#kept.set(key, answer, { ttl: seconds * 1000 })
    const answer = (this.#resolver.resolve(name, type as 'TXT') as Promise<unknown[]>).then(
      (records) => {
        this.#failures = 0
        keep(keepFound)
        return records.slice(0, maxRecords)
      },
      (error: NodeJS.ErrnoException) => {
        if (isNone(error.code)) this.#failures = 0
        else this.#failed(error.code)
        keep(isNone(error.code) ? keepNone : keepFailure)
        throw error
      },
    )
    // Callers that wait for the answer handle the rejection.
    answer.catch(() => {})
    this.#kept.set(key, answer)
    return answer
  }

  /** Creates a listener for one message. */
  listen(): Listener {
    return new Listener(this, this.#found)
  }

  /** Milliseconds for which the answer stays cached. */
  keeps(name: string, type: string): number {
    return this.#kept.getRemainingTTL(keyOf(name, type))
  }

  /** SERVFAIL is an answer: the resolver is alive. */
  #failed(code: string | undefined): void {
    if (code !== 'ETIMEOUT' && code !== 'ECONNREFUSED') return
    this.#failures++
    if (this.#failures < downAfter) return
    // The result of the next query then decides.
    this.#failures = downAfter - 1
    this.#downUntil = performance.now() + downForMs
  }
}

/** The DNS, and earlier results derived from it. */
export type Dns = {
  resolve: Resolve
  /**
   * Returns the earlier result of `find` for this key if all DNS records that it used are still cached; otherwise calls
   * `find`.
   */
  recall<T extends object>(key: string, find: (resolve: Resolve) => Promise<T>): Promise<T>
}

/** Creates a `Dns` that caches nothing. */
export function uncached(resolve: Resolve): Dns {
  return { resolve, recall: (_, find) => find(resolve) }
}

/** Records how long the answers it saw stay cached, so that a result derived from them can be cached for the same time. */
export class Listener implements Dns {
  readonly #resolver: CachingResolver
  readonly #found: LRUCache<string, object>
  readonly #heard: [name: string, type: string][] = []
  #leastMs = keepNone * 1000

  constructor(resolver: CachingResolver, found: LRUCache<string, object>) {
    this.#resolver = resolver
    this.#found = found
  }

  resolve: Resolve = async (name, type) => {
    this.#heard.push([name, type])
    const records = await this.#resolver.resolve(name, type)
    // RFC 7208 §7: a result from a record with a macro depends on more than the query.
    if (type === 'TXT' && records.some((record) => (record as string[]).some((part) => part.includes('%'))))
      this.#leastMs = 0
    return records
  }

  async recall<T extends object>(key: string, find: (resolve: Resolve) => Promise<T>): Promise<T> {
    const known = this.#found.get(key)
    if (known) {
      this.#leastMs = Math.min(this.#leastMs, this.#found.getRemainingTTL(key))
      return known as T
    }
    const listener = this.#resolver.listen()
    const found = await find(listener.resolve)
    const ttl = listener.holdsMs
    if (ttl > 0) this.#found.set(key, found, { ttl })
    this.#leastMs = Math.min(this.#leastMs, ttl)
    return found
  }

  get holdsMs(): number {
    for (const [name, type] of this.#heard) this.#leastMs = Math.min(this.#leastMs, this.#resolver.keeps(name, type))
    return Math.floor(this.#leastMs)
  }
}

function failure(code: string, message: string): Error {
  return Object.assign(new Error(message), { code })
}
