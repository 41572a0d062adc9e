import { LRUCache } from 'lru-cache'
import type { ConnectOptions, TlsPolicy } from './connect-options.ts'
import { Connection } from './connection.ts'
import { ConnectionFailure } from './connection-failure.ts'
import { LoginCutShort } from './login.ts'
import type { Peer } from './peer.ts'

/** Connections that wait for their next message, and hosts that were found dead a moment ago. */

/** Servers drop idle clients after minutes, and some count them: a few seconds is enough for mail that flows. */
const idleMs = 5000
/** Well below the shortest retry timer: a try that the schedule grants is made, not answered from memory. */
const deadMs = 20_000
const maxIdle = 500
/** A host that says nothing for so long is not waited for by others; what the settings allow it is more. */
const stallsMs = 30_000
const noPipeliningMs = 3_600_000
const learnedMs = 3_600_000

export class Pool {
  #idle = new Map<string, Connection[]>()
  #count = 0
  #dead = new Map<string, { until: number; failure: ConnectionFailure }>()
  /** Hosts that lost an envelope sent ahead, until when they are not sent any. */
  #notPipelining = new Map<string, number>()
  /** How many messages a host takes in one session, where that was found out. */
  readonly #sessionLimits = new LRUCache<string, number>({ max: 10_000, ttl: learnedMs })
  /** Refusals that a host repeated on a new connection. */
  readonly #confirmed = new LRUCache<string, true>({ max: 10_000, ttl: learnedMs })
  #timer: NodeJS.Timeout | undefined

  /** An open connection for this key that is fit for another message. */
  take(key: string): Connection | undefined {
    const connections = this.#idle.get(key)
    while (connections?.length) {
      const connection = connections.pop() as Connection
      this.#count--
      if (!connection.disturbed) return connection
      connection.destroy()
    }
    return undefined
  }

  /** Returns a connection after a transaction. It is closed when it has had `maxMessages` or cannot be reused. */
  give(key: string, connection: Connection, maxMessages: number): void {
    if (!connection.alive) return
    if (connection.used >= maxMessages || this.#count >= maxIdle || connection.stage !== 'mail') {
      connection.quit()
      return
    }
    connection.idleSince = performance.now()
    const connections = this.#idle.get(key)
    if (connections) connections.push(connection)
    else this.#idle.set(key, [connection])
    this.#count++
    this.#timer ??= setInterval(() => this.#sweep(), 1000).unref()
  }

  /** The failure of a host that did not answer a moment ago. */
  recentFailure(peer: Peer): ConnectionFailure | undefined {
    const key = keyOf(peer)
    const dead = this.#dead.get(key)
    if (!dead || dead.until > performance.now()) return dead?.failure
    this.#dead.delete(key)
    return undefined
  }

  stopPipelining(peer: Peer): void {
    if (this.#notPipelining.size > 10_000) this.#notPipelining.clear()
    this.#notPipelining.set(keyOf(peer), performance.now() + noPipeliningMs)
  }

  mayPipeline(peer: Peer): boolean {
    if (this.#notPipelining.size === 0) return true
    return (this.#notPipelining.get(keyOf(peer)) ?? Number.NEGATIVE_INFINITY) < performance.now()
  }

  limitSession(peer: Peer, messages: number): void {
    this.#sessionLimits.set(keyOf(peer), Math.max(1, messages))
  }

  sessionLimitOf(peer: Peer): number {
    return this.#sessionLimits.get(keyOf(peer)) ?? Number.POSITIVE_INFINITY
  }

  /** A refusal on a used connection counts from now on without being asked for twice. */
  confirmRefusal(peer: Peer, refusal: string): void {
    this.#confirmed.set(`${keyOf(peer)} ${refusal}`, true)
  }

  isConfirmed(peer: Peer, refusal: string): boolean {
    return this.#confirmed.has(`${keyOf(peer)} ${refusal}`)
  }

  /** A host that let a connection wait in vain: for a moment it is not asked again. */
  markDead(peer: Peer, failure: ConnectionFailure): void {
    if (this.#dead.size > 10_000) this.#dead.clear()
    this.#dead.set(keyOf(peer), { until: performance.now() + deadMs, failure })
  }

  /** Opens a connection; opportunistic TLS that fails its handshake is tried again without, at once. */
  async open(options: ConnectOptions): Promise<Connection> {
    try {
      return await this.#open(options)
    } catch (error) {
      if (error instanceof LoginCutShort) return await this.open({ ...options, refusals: error.refusals })
      if (options.tls !== 'opportunistic' || !(error instanceof ConnectionFailure) || error.stage !== 'tls') throw error
      options.onUnverified?.(error.text)
      return await this.#open({ ...options, tls: 'none' })
    }
  }

  async #open(options: ConnectOptions & { tls: TlsPolicy }): Promise<Connection> {
    const { peer, signal } = options
    const timer = setTimeout(() => this.markDead(peer, stalled(peer)), stallsMs)
    try {
      const connection = await Connection.open(options)
      this.#dead.delete(keyOf(peer))
      return connection
    } catch (error) {
      const failure = error as ConnectionFailure
      const isDead = failure.silent || failure.stage === 'connect' || (failure.stage === 'greeting' && !failure.reply)
      if (isDead && !signal?.aborted) this.markDead(peer, failure)
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  #sweep(): void {
    const now = performance.now()
    for (const [key, connections] of this.#idle) {
      const keep = connections.filter((connection) => connection.alive && now - connection.idleSince < idleMs)
      for (const connection of connections) if (!keep.includes(connection)) connection.quit()
      this.#count += keep.length - connections.length
      if (keep.length > 0) this.#idle.set(key, keep)
      else this.#idle.delete(key)
    }
    if (this.#count > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** Closes what is idle and forgets who was dead. */
  clear(): void {
    this.#dead.clear()
    this.closeIdle()
  }

  /** What waits was opened under other settings: the next message gets a connection of its own. */
  closeIdle(): void {
    for (const connections of this.#idle.values()) for (const connection of connections) connection.quit()
    this.#idle.clear()
    this.#count = 0
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

function keyOf({ address, port }: Peer): string {
  return `${address} ${port}`
}

function stalled({ host }: Peer): ConnectionFailure {
  return new ConnectionFailure('greeting', `${host} has let another connection wait for ${stallsMs / 1000} s`)
}
