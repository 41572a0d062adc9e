import type { Socket } from 'node:net'
import type { SecureContext } from 'node:tls'
import { findBlock } from '@postern/policy/address-blocks.ts'
import type { Policy } from '@postern/policy/policy.ts'
import { QueueRuns } from './commands/queue-runs.ts'
import { Certificates } from './listen/certificates.ts'
import type { Origin } from './listen/connection-origin.ts'
import { newCounters } from './record/counters.ts'
import type { ReceiverContext } from './session/context.ts'
import { Session } from './session/session.ts'
import { ServerBase } from './session/smtp-server-base.ts'

export type ReceiverOptions = Pick<
  ReceiverContext,
  'id' | 'machine' | 'policy' | 'spool' | 'record' | 'logins' | 'offences' | 'lookupClients' | 'runQueue' | 'trouble'
> & {
  /** Only the normal log without it. */
  wants?: ReceiverContext['wants'] | undefined
  facts?: ReceiverContext['facts']
}

/** How often silent sessions are looked for. */
const sweepMs = 500
/** For TLS from the first byte. */
const handshakeMs = 10_000

/** All sessions of a worker and what they share. It opens no port: sockets are handed to it. */
export class Receiver extends ServerBase<Session> implements ReceiverContext {
  readonly id: string
  readonly machine: string
  readonly spool: ReceiverContext['spool']
  readonly record: ReceiverContext['record']
  readonly wants: ReceiverContext['wants']
  readonly #facts: ReceiverContext['facts']
  readonly logins: ReceiverContext['logins']
  readonly lookupClients: ReceiverContext['lookupClients']
  readonly #queueRuns: QueueRuns
  readonly counters = newCounters()
  readonly offences: ReceiverContext['offences']
  readonly certificates = new Certificates()
  readonly trouble: ReceiverContext['trouble']
  policy: Policy
  stopping = false
  readonly #byAddress = new Map<string, number>()
  #sessions = 0
  #reportFullAfter = 0
  readonly #sweeper: NodeJS.Timeout

  constructor(parts: ReceiverOptions) {
    super({ name: parts.machine, handshakeMs })
    this.id = parts.id
    this.machine = parts.machine
    this.policy = parts.policy
    this.spool = parts.spool
    this.record = parts.record
    this.wants = parts.wants ?? (() => false)
    this.#facts = parts.facts
    this.logins = parts.logins
    this.offences = parts.offences
    this.lookupClients = parts.lookupClients
    this.#queueRuns = new QueueRuns(parts.runQueue)
    this.trouble = parts.trouble
    this.#sweeper = setInterval(() => this.#sweep(), sweepMs)
  }

  protected override contextFor(name: string): SecureContext | undefined {
    return this.certificates.contextFor(name)
  }

  /** Throws an Error that names the certificate that cannot be used; then the ones before stay. */
  loadCertificates(...rows: Parameters<Certificates['load']>): void {
    this.certificates.load(...rows)
    this.defaultContext = this.certificates.contextFor('')
  }

  /** Where no events are logged no facts are recorded either. */
  get facts(): ReceiverContext['facts'] {
    const { destination, level } = this.policy.settings.logging
    return destination === 'none' || level === 'off' ? undefined : this.#facts
  }

  get tlsAvailable(): boolean {
    return this.certificates.available
  }

  runQueue(domain: string, by: string): Promise<void> {
    return this.#queueRuns.ask(domain, by)
  }

  spoolFull(): void {
    const now = performance.now()
    if (now < this.#reportFullAfter) return
    this.#reportFullAfter = now + 60_000
    // On a disk that is full to the last byte the reserve is gone as well.
    const { free, reserve } = this.spool.load()
    this.record('spool.full', { freeBytes: Math.max(0, free + reserve), reserveBytes: reserve })
  }

  /** Sessions open now. */
  get sessions(): number {
    return this.#sessions
  }

  /** Takes over a connection whose PROXY header, if any, is read. The handshake of TLS from the first byte comes before. */
  take(socket: Socket, origin: Origin): void {
    if (origin.listener !== 'smtps') this.#begin(socket, origin)
    else if (this.handshakes >= this.policy.settings.advanced.maxThreads) socket.destroy()
    else this.handshake(socket, { timeoutMs: handshakeMs, secured: (socket) => this.#begin(socket, origin) })
  }

  #begin(socket: Socket, origin: Origin): void {
    if (socket.destroyed) return
    const session = new Session(this, socket, origin)
    this.add(session)
    session.init()
  }

  enter(ip: string): { sessionsOpen: number; sessionsFromAddress: number } {
    const sessionsFromAddress = (this.#byAddress.get(ip) ?? 0) + 1
    this.#byAddress.set(ip, sessionsFromAddress)
    this.counters.sessions_total++
    return { sessionsOpen: ++this.#sessions, sessionsFromAddress }
  }

  gone(ip: string): void {
    this.#sessions--
    const left = (this.#byAddress.get(ip) ?? 1) - 1
    if (left > 0) this.#byAddress.set(ip, left)
    else this.#byAddress.delete(ip)
    if (this.#sessions === 0) this.emit('idle')
  }

  #sweep(): void {
    const now = performance.now()
    for (const session of this.open) if (session.timeouts.deadline < now) session.timeOut()
  }

  /** Idle sessions end with 421; those within a transaction at its end, but no later than after `seconds`. */
  async drain(seconds: number): Promise<void> {
    this.stopping = true
    for (const session of this.open) session.stop()
    await this.#untilIdle(seconds * 1000)
    if (!this.stopping) return
    for (const session of this.open) session.leaveNow()
  }

  /** Takes sessions again. */
  resume(): void {
    this.stopping = false
    for (const session of this.open) session.stay()
    this.emit('idle')
  }

  #untilIdle(limitMs: number): Promise<void> {
    if (this.open.size === 0) return Promise.resolve()
    return new Promise((done) => {
      const look = setInterval(() => {
        if (this.open.size === 0 || !this.stopping) finish()
      }, 20)
      const limit = setTimeout(() => finish(), limitMs)
      const finish = () => {
        clearInterval(look)
        clearTimeout(limit)
        done()
      }
    })
  }

  /** Ends the sessions of addresses that were blocked automatically. What an administrator enters is for new connections. */
  expelBlocked(): void {
    const now = Date.now()
    for (const session of this.open) {
      const entry = findBlock(this.policy.controlAccess, session.facts.ip, now)
      if (entry?.automatic && entry.action === 'deny') session.expel()
    }
  }

  /** Ends everything at once. */
  end(): void {
    clearInterval(this.#sweeper)
    this.destroyAll()
  }
}
