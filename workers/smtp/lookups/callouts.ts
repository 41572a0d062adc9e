import type { Lookups } from '@postern/contract/lookups.ts'
import { Breaker } from '@postern/net/circuit-breaker.ts'
import { HookFailure } from '@postern/net/http/failure.ts'
import type { Hosts } from '@postern/net/http/hosts.ts'
import type { CalloutHost } from '@postern/policy/expand.ts'
import type { RecordEvent } from '@postern/runtime/worker.ts'
import { LRUCache } from 'lru-cache'
import { callOut } from './callout-dialogue.ts'

/** What routed hosts say about recipients, kept for a while. A host that fails is left alone for a while, too. */

export type Callout = NonNullable<Lookups['callout']>

/** Answers kept, of all hosts together. */
const maxKept = 50_000
const keepMs: { [said in Callout]: number } = { exists: 3_600_000, unknown: 300_000, 'not-known': 5_000 }
/** For one callout, from the first look at a name to the reply to RCPT. */
const timeoutMs = 15_000
const maxAddresses = 2
/** At one host at a time. */
const maxAtOnce = 20
/** Hosts remembered. */
const maxHosts = 1000
const toldEveryMs = 60_000

type Partner = { breaker: Breaker; busy: number; toldAt: number; failures: number }

export class Callouts {
  readonly #hosts: Hosts
  readonly #record: RecordEvent
  readonly #kept = new LRUCache<string, Callout>({ max: maxKept })
  readonly #asking = new Map<string, Promise<Callout>>()
  readonly #partners = new LRUCache<string, Partner>({ max: maxHosts })

  constructor(hosts: Hosts, record: RecordEvent) {
    this.#hosts = hosts
    this.#record = record
  }

  /** What is kept is answered at once. Never rejects. `name`: our own. */
  ask(host: CalloutHost, recipient: string, name: string): Callout | Promise<Callout> {
    const where = `${host.protocol} ${host.host}:${host.port} ${host.tls}`
    const key = `${where} ${recipient}`
    const kept = this.#kept.get(key)
    if (kept) return kept
    const asking = this.#asking.get(key) ?? this.#ask(host, { where, recipient, name })
    if (typeof asking === 'string') return asking
    this.#asking.set(key, asking)
    return asking.then((said) => {
      this.#asking.delete(key)
      this.#kept.set(key, said, { ttl: keepMs[said] })
      return said
    })
  }

  #ask(host: CalloutHost, about: { where: string; recipient: string; name: string }): Callout | Promise<Callout> {
    const partner = this.#partners.get(about.where) ?? {
      breaker: new Breaker({ failures: 3 }),
      busy: 0,
      toldAt: 0,
      failures: 0,
    }
    this.#partners.set(about.where, partner)
    if (partner.busy >= maxAtOnce || !partner.breaker.mayAsk()) return 'not-known'
    return this.#converse(host, partner, about)
  }

  async #converse(
    host: CalloutHost,
    partner: Partner,
    { recipient, name }: { recipient: string; name: string },
  ): Promise<Callout> {
    partner.busy++
    try {
      const said = await this.#anyAddress(host, recipient, name)
      partner.breaker.worked()
      return said
    } catch (error) {
      // It was there and said something: others may still be asked.
      if (error instanceof HookFailure && error.trouble === 'nonsense') partner.breaker.worked()
      else partner.breaker.failed()
      this.#tell(host, partner, error as Error)
      return 'not-known'
    } finally {
      partner.busy--
    }
  }

  async #anyAddress(host: CalloutHost, recipient: string, name: string): Promise<'exists' | 'unknown'> {
    const until = Date.now() + timeoutMs
    const addresses = await this.#hosts.addressesOf(host.host, timeoutMs)
    let failure: unknown
    for (const ip of addresses.slice(0, maxAddresses)) {
      try {
        return await callOut({ host, ip, name, recipient, timeoutMs: Math.max(1, until - Date.now()) })
      } catch (error) {
        failure = error
        if ((error as HookFailure).trouble !== 'unreachable') break
      }
    }
    throw failure
  }

  #tell(host: CalloutHost, partner: Partner, { message }: Error): void {
    partner.failures++
    if (Date.now() < partner.toldAt + toldEveryMs) return
    this.#record('hook.failed', {
      hook: 'callout',
      host: `${host.host}:${host.port}`,
      detail: message,
      failures: partner.failures,
    })
    Object.assign(partner, { toldAt: Date.now(), failures: 0 })
  }
}
