import { Resolver } from 'node:dns/promises'
import { LRUCache } from 'lru-cache'

/**
 * The DNS as mailauth asks it: records, or an error with a code. What was heard is kept for a while, and who asks while an
 * answer is on its way shares it. When nothing at all is answered any more, questions fail at once for a few seconds, so that
 * mail does not wait behind a resolver that is down.
 */

export type RecordType = 'TXT' | 'A' | 'AAAA' | 'MX' | 'PTR' | 'CNAME'
/** Rejects with an error whose `code` is ENOTFOUND, ENODATA, or says what failed. */
export type Resolve = (name: string, type: string) => Promise<unknown[]>

const maxKept = 20_000
/** Seconds; Node tells no TTL of most records. */
const keepFound = 120
const keepNone = 60
const keepFailure = 5
/** Failures in a row after which the resolver counts as down, and for how many milliseconds. */
const downAfter = 20
const downForMs = 5_000
/** Of one answer: more is not used for mail, and costs memory. */
const maxRecords = 100

const keyOf = (name: string, type: string) => `${type} ${name.toLowerCase()}`
const isNone = (code: string | undefined) => code === 'ENOTFOUND' || code === 'ENODATA'

export class CachingResolver {
  readonly #resolver: Resolver
  readonly #kept = new LRUCache<string, Promise<unknown[]>>({ max: maxKept })
  readonly #found = new LRUCache<string, object>({ max: maxKept })
  #failures = 0
  #downUntil = 0

  /** `servers`: `address[:port]` each; empty: the system's. Throws when one is none. */
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
    // Whoever waits hears of it; nobody else needs to.
    answer.catch(() => {})
    this.#kept.set(key, answer)
    return answer
  }

  /** For one message. */
  listen(): Listener {
    return new Listener(this, this.#found)
  }

  /** Milliseconds for which the answer is kept. */
  keeps(name: string, type: string): number {
    return this.#kept.getRemainingTTL(keyOf(name, type))
  }

  /** SERVFAIL is an answer: the resolver lives. */
  #failed(code: string | undefined): void {
    if (code !== 'ETIMEOUT' && code !== 'ECONNREFUSED') return
    this.#failures++
    if (this.#failures < downAfter) return
    // The next one that is asked then decides.
    this.#failures = downAfter - 1
    this.#downUntil = performance.now() + downForMs
  }
}

/** The DNS, and what was concluded from it before. */
export type Dns = {
  resolve: Resolve
  /** What `find` found out for this key when all the records it heard are still kept; else what it finds now. */
  recall<T extends object>(key: string, find: (resolve: Resolve) => Promise<T>): Promise<T>
}

/** Remembers nothing. */
export function uncached(resolve: Resolve): Dns {
  return { resolve, recall: (_, find) => find(resolve) }
}

/** Knows afterwards for how long everything it heard is kept, so that what follows from it can be kept as long. */
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
    // RFC 7208 §7: what follows from a record with a macro depends on more than who asks.
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
