import type { Lookups } from '@postern/contract/lookups.ts'
import { Breaker } from '@postern/net/circuit-breaker.ts'
import type { CheckedHosts } from '@postern/net/http/checked-hosts.ts'
import { HookFailure } from '@postern/net/http/hook-failure.ts'
import type { CalloutHost } from '@postern/policy/expand.ts'
import type { RecordEvent } from '@postern/runtime/worker.ts'
import { LRUCache } from 'lru-cache'
import { callOut } from './callout-dialogue.ts'

/** Asks routed hosts about recipients and caches the answers. A host that fails is not asked for a while. */

export type Callout = NonNullable<Lookups['callout']>

/** Answers cached, of all hosts together. */
const maxCached = 50_000
const cacheMs: { [said in Callout]: number } = { exists: 3_600_000, unknown: 300_000, 'not-known': 5_000 }
/** For one callout, from the DNS to the reply to RCPT. */
const timeoutMs = 15_000
const maxAddresses = 2
/** Callouts to one host at the same time. */
const maxConcurrent = 20
/** Hosts whose state is kept. */
const maxHosts = 1000
const reportEveryMs = 60_000

type HostState = { breaker: Breaker; busy: number; reportedAt: number; failures: number }

export class Callouts {
  readonly #hosts: CheckedHosts
  readonly #record: RecordEvent
  readonly #cached = new LRUCache<string, Callout>({ max: maxCached })
  readonly #asking = new Map<string, Promise<Callout>>()
  readonly #states = new LRUCache<string, HostState>({ max: maxHosts })

  constructor(hosts: CheckedHosts, record: RecordEvent) {
    this.#hosts = hosts
    this.#record = record
  }

  /** A cached answer comes at once. Never rejects. `name`: our own, for EHLO. */
  ask(host: CalloutHost, recipient: string, name: string): Callout | Promise<Callout> {
    const where = `${host.protocol} ${host.host}:${host.port} ${host.tls}`
    const key = `${where} ${recipient}`
    const cached = this.#cached.get(key)
    if (cached) return cached
    const asking = this.#asking.get(key) ?? this.#ask(host, { where, recipient, name })
    if (typeof asking === 'string') return asking
    this.#asking.set(key, asking)
    return asking.then((said) => {
      this.#asking.delete(key)
      this.#cached.set(key, said, { ttl: cacheMs[said] })
      return said
    })
  }

  #ask(host: CalloutHost, about: { where: string; recipient: string; name: string }): Callout | Promise<Callout> {
    const state = this.#states.get(about.where) ?? {
      breaker: new Breaker({ failures: 3 }),
      busy: 0,
      reportedAt: Number.NEGATIVE_INFINITY,
      failures: 0,
    }
    this.#states.set(about.where, state)
    if (state.busy >= maxConcurrent || !state.breaker.mayAsk()) return 'not-known'
    return this.#callOut(host, state, about)
  }

  async #callOut(
    host: CalloutHost,
    state: HostState,
    { recipient, name }: { recipient: string; name: string },
  ): Promise<Callout> {
    state.busy++
    try {
      const said = await this.#anyAddress(host, recipient, name)
      state.breaker.worked()
      return said
    } catch (error) {
      // The host answered, if only nonsense: it may be asked about other recipients.
      if (error instanceof HookFailure && error.trouble === 'nonsense') state.breaker.worked()
      else state.breaker.failed()
      this.#report(host, state, error as Error)
      return 'not-known'
    } finally {
      state.busy--
    }
  }

  async #anyAddress(host: CalloutHost, recipient: string, name: string): Promise<'exists' | 'unknown'> {
    const until = performance.now() + timeoutMs
    const addresses = await this.#hosts.addressesOf(host.host, timeoutMs)
    let failure: unknown
    for (const ip of addresses.slice(0, maxAddresses)) {
      try {
        return await callOut({
          host,
          ip,
          name,
          recipient,
          timeoutMs: Math.max(1, Math.ceil(until - performance.now())),
        })
      } catch (error) {
        failure = error
        if ((error as HookFailure).trouble !== 'unreachable') break
      }
    }
    throw failure
  }

  #report(host: CalloutHost, state: HostState, { message }: Error): void {
    state.failures++
    if (performance.now() < state.reportedAt + reportEveryMs) return
    this.#record('hook.failed', {
      hook: 'callout',
      host: `${host.host}:${host.port}`,
      detail: message,
      failures: state.failures,
    })
    Object.assign(state, { reportedAt: performance.now(), failures: 0 })
  }
}
