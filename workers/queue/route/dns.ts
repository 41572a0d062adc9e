import { Resolver } from 'node:dns/promises'

/** Asks the DNS and keeps what it heard for a while. A look-up that failed is "not known", never "no". */

export type Found<T> =
  | { kind: 'found'; value: T }
  /** The name exists and has no such record. */
  | { kind: 'empty' }
  /** NXDOMAIN. */
  | { kind: 'no-name' }
  | { kind: 'not-known'; why: string }

export type Mx = { host: string; preference: number }

type Kept = { until: number; answer: Promise<Found<unknown>> }

/** At most so many names; the oldest go first. */
const maxKept = 50_000
/** Seconds. Node does not tell the TTL of an MX or TXT record. */
const keepMx = 120
const longest = 300
const keepFailure = 5

export class Dns {
  #resolver: Resolver
  #kept = new Map<string, Kept>()

  /** `servers`: `address[:port]` each; empty: the system's. */
  constructor({ servers, timeoutMs = 5000, tries = 3 }: { servers: string[]; timeoutMs?: number; tries?: number }) {
    this.#resolver = new Resolver({ timeout: timeoutMs, tries })
    if (servers.length > 0) this.#resolver.setServers(servers)
  }

  mx(domain: string): Promise<Found<Mx[]>> {
    return this.#ask(`mx ${domain}`, async () => {
      const records = await this.#resolver.resolveMx(domain)
      const value = records.map(({ exchange, priority }) => ({ host: canonical(exchange), preference: priority }))
      return { value, seconds: keepMx }
    })
  }

  a(host: string): Promise<Found<string[]>> {
    return this.#ask(`a ${host}`, async () => addresses(await this.#resolver.resolve4(host, { ttl: true })))
  }

  aaaa(host: string): Promise<Found<string[]>> {
    return this.#ask(`aaaa ${host}`, async () => addresses(await this.#resolver.resolve6(host, { ttl: true })))
  }

  /** Each record as one text. */
  txt(name: string): Promise<Found<string[]>> {
    return this.#ask(`txt ${name}`, async () => {
      const records = await this.#resolver.resolveTxt(name)
      return { value: records.map((parts) => parts.join('')), seconds: keepMx }
    })
  }

  forget(): void {
    this.#kept.clear()
  }

  #ask<T>(key: string, look: () => Promise<{ value: T[]; seconds: number }>): Promise<Found<T[]>> {
    const now = Date.now()
    const kept = this.#kept.get(key)
    if (kept && kept.until > now) return kept.answer as Promise<Found<T[]>>
    // Whoever asks while the answer is on its way shares it.
    const entry: Kept = { until: Number.POSITIVE_INFINITY, answer: Promise.resolve({ kind: 'empty' }) }
    const answer = look().then(
      ({ value, seconds }): Found<T[]> => {
        entry.until = Date.now() + Math.min(Math.max(seconds, 1), longest) * 1000
        return value.length > 0 ? { kind: 'found', value } : { kind: 'empty' }
      },
      (error: NodeJS.ErrnoException): Found<T[]> => {
        const missing = missingOf(error)
        entry.until = Date.now() + (missing.kind === 'not-known' ? keepFailure : 60) * 1000
        return missing
      },
    )
    entry.answer = answer
    this.#kept.delete(key)
    this.#kept.set(key, entry)
    if (this.#kept.size > maxKept) this.#kept.delete(this.#kept.keys().next().value as string)
    return answer
  }
}

function addresses(records: { address: string; ttl: number }[]) {
  return { value: records.map(({ address }) => address), seconds: Math.min(...records.map(({ ttl }) => ttl), longest) }
}

function missingOf(
  error: NodeJS.ErrnoException,
): { kind: 'empty' } | { kind: 'no-name' } | { kind: 'not-known'; why: string } {
  switch (error.code) {
    case 'ENOTFOUND':
      return { kind: 'no-name' }
    case 'ENODATA':
      return { kind: 'empty' }
    default:
      return { kind: 'not-known', why: error.code ?? error.message }
  }
}

function canonical(host: string): string {
  return host.toLowerCase().replace(/\.$/, '')
}
