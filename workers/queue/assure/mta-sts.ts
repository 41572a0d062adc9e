import { readFile } from 'node:fs/promises'
import { request } from 'node:https'
import { dirname } from 'node:path'
import { checkServerIdentity, type PeerCertificate } from 'node:tls'
import type { Dns } from '@postern/net/dns.ts'
import { type AllowedAddresses, allowedAddressesOf } from '@postern/net/http/allowed-addresses.ts'
import { makeDirectory, replaceWith } from '@postern/runtime/disk.ts'
import { LRUCache } from 'lru-cache'
import { validateMx } from 'mailauth/lib/mta-sts.js'
import type { Trust } from '../client/certificate.ts'
import { parsePolicy, policyIdIn } from './mta-sts-syntax.ts'

/**
 * Policies by which domains say that mail for them goes only to named hosts with a valid certificate (RFC 8461). A policy
 * once seen holds for as long as it said, over restarts too: who hides the record or the page changes nothing.
 */

export type Policy = { mode: 'enforce' | 'testing'; mx: string[] }

type Kept = { id: string; mode: string; mx: string[]; expires: number }

export type MtaStsOptions = {
  dns: Pick<Dns, 'txt' | 'a' | 'aaaa'>
  trust: Trust
  /** Where policies are kept; none: in memory alone. */
  file?: string | undefined
  /** Of the policy host; 443 without it. */
  port?: number | undefined
  reach?: AllowedAddresses
}

const maxKept = 10_000
const maxBytes = 64 << 10
const timeoutMs = 20_000
/** RFC 8461 §3.3: after a failure not at every message again. */
const failedForMs = 300_000
/** RFC 8461 §3.2: the longest max_age. */
const longestMs = 31_557_600_000

export class MtaSts {
  readonly #options: MtaStsOptions
  readonly #reach: AllowedAddresses
  readonly #kept = new LRUCache<string, Kept>({ max: maxKept })
  readonly #failed = new LRUCache<string, true>({ max: maxKept, ttl: failedForMs })
  readonly #asking = new Map<string, Promise<Policy | undefined>>()
  #loaded: Promise<void> | undefined
  #saving: NodeJS.Timeout | undefined

  constructor(options: MtaStsOptions) {
    this.#options = options
    this.#reach = options.reach ?? allowedAddressesOf([])
  }

  /** The policy in force for mail to this domain; none when it has none, or none that could be read. Never rejects. */
  policyFor(domain: string): Promise<Policy | undefined> {
    const asking = this.#asking.get(domain)
    if (asking) return asking
    const asked = this.#policyFor(domain).finally(() => this.#asking.delete(domain))
    this.#asking.set(domain, asked)
    return asked
  }

  async #policyFor(domain: string): Promise<Policy | undefined> {
    this.#loaded ??= this.#load()
    await this.#loaded
    const known = this.#known(domain)
    const id = await this.#idOf(domain)
    // Without a record that can be read, what was promised before holds on (RFC 8461 §5.1).
    if (!id || id === known?.id) return policyOf(known)
    const failure = `${domain} ${id}`
    if (this.#failed.has(failure)) return policyOf(known)
    try {
      const { mode, mx, maxAge } = await this.#fetch(domain)
      const kept = { id, mode, mx, expires: Date.now() + maxAge * 1000 }
      this.#kept.set(domain, kept)
      this.#saveSoon()
      return policyOf(kept)
    } catch {
      this.#failed.set(failure, true)
      return policyOf(known)
    }
  }

  #known(domain: string): Kept | undefined {
    const kept = this.#kept.get(domain)
    const left = kept ? kept.expires - Date.now() : 0
    // What holds for longer than any policy may was kept before the clock was set back.
    return left > 0 && left <= longestMs ? kept : undefined
  }

  async #idOf(domain: string): Promise<string | undefined> {
    const found = await this.#options.dns.txt(`_mta-sts.${domain}`)
    return found.kind === 'found' ? policyIdIn(found.value) : undefined
  }

  async #fetch(domain: string) {
    const host = `mta-sts.${domain}`
    const { dns, trust, port = 443 } = this.#options
    const [a, aaaa] = await Promise.all([dns.a(host), dns.aaaa(host)])
    const addresses = [a, aaaa].flatMap((found) => (found.kind === 'found' ? found.value : []))
    const address = addresses.find((each) => this.#reach.refuses(each) === null)
    if (!address) throw new Error(`${host} has no address that may be asked`)
    const text = await get({ host, address, port, trust })
    return parsePolicy(text)
  }

  async #load(): Promise<void> {
    const { file } = this.#options
    if (!file) return
    try {
      const kept = JSON.parse(await readFile(file, 'utf8')) as [string, Kept][]
      for (const [domain, policy] of kept) this.#kept.set(domain, policy)
    } catch {
      // None yet, or damaged: the policies are asked for again.
    }
  }

  #saveSoon(): void {
    if (this.#options.file) this.#saving ??= setTimeout(() => void this.save(), 1000).unref()
  }

  /** Writes down what is kept, when something is new. Never rejects: without the file, policies are asked for again. */
  async save(): Promise<void> {
    const { file } = this.#options
    if (!file || !this.#saving) return
    clearTimeout(this.#saving)
    this.#saving = undefined
    const now = Date.now()
    const kept = [...this.#kept.entries()].filter(([, { expires }]) => expires > now)
    try {
      await makeDirectory(dirname(file))
      await replaceWith(file, JSON.stringify(kept))
    } catch {
      this.#saveSoon()
    }
  }
}

function policyOf(kept: Kept | undefined): Policy | undefined {
  if (!kept || (kept.mode !== 'enforce' && kept.mode !== 'testing')) return undefined
  return { mode: kept.mode, mx: kept.mx }
}

/** Whether the policy names this host (RFC 8461 §4.1). */
export function domainNames({ mode, mx }: Policy, host: string): boolean {
  return validateMx(host, { mode, mx }, { strict: true }).valid
}

type Page = { host: string; address: string; port: number; trust: Trust }

/** The policy page (RFC 8461 §3.3): HTTPS with a valid certificate, 200, text/plain, 64 KiB at most, no redirect. */
function get({ host, address, port, trust }: Page): Promise<string> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(timeoutMs)
    const options = {
      host: address,
      port,
      servername: host,
      path: '/.well-known/mta-sts.txt',
      headers: { host },
      secureContext: trust.context,
      rejectUnauthorized: true,
      checkServerIdentity: (_: string, certificate: PeerCertificate) => checkServerIdentity(host, certificate),
      agent: false as const,
      signal,
    }
    const asked = request(options)
    asked.on('error', reject)
    asked.on('response', (response) => {
      const type = (response.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase()
      if (response.statusCode !== 200 || type !== 'text/plain')
        return void asked.destroy(new Error(`${host} answers ${response.statusCode} ${type}`))
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > maxBytes) asked.destroy(new Error(`the policy of ${host} is too large`))
        else chunks.push(chunk)
      })
      response.on('end', () => {
        try {
          resolve(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks)))
        } catch {
          reject(new Error(`the policy of ${host} is no UTF-8`))
        }
      })
      response.on('error', reject)
    })
    asked.end()
  })
}
