import type { Socket } from 'node:net'
import { findBlock } from '@postern/policy/address-blocks.ts'
import type { Policy } from '@postern/policy/policy.ts'
import type { RecordEvent } from '@postern/runtime/worker.ts'
import type { SpoolWriter } from '@postern/spool/spool.ts'
import { SMTPServer } from 'smtp-server'
import type { Credentials } from './auth/credentials.ts'
import type { Tokens } from './auth/tokens.ts'
import { type AskForRun, QueueRuns } from './commands/queue-runs.ts'
import { Certificates } from './listen/certificates.ts'
import type { LookupClients } from './lookups/ask.ts'
import { Rates } from './lookups/rates.ts'
import { type Counters, newCounters } from './record/counters.ts'
import type { Offences } from './record/offences.ts'
import type { FactSink } from './record/session-facts.ts'
import type { Origin } from './session/connection.ts'
import type { ReceiverContext } from './session/context.ts'
import { Session } from './session/session.ts'

export type ReceiverParts = {
  id: string
  machine: string
  policy: Policy
  spool: SpoolWriter
  record: RecordEvent
  /** Nothing but the normal log without it. */
  wants?: ReceiverContext['wants'] | undefined
  facts?: FactSink | undefined
  credentials: Credentials
  offences: Offences
  tokens: Tokens
  lookupClients: LookupClients
  runQueue: AskForRun
  /** What no client can help: for the operator. */
  trouble: (error: unknown) => void
}

/** How often the sessions are looked through for silent ones. */
const sweepMs = 500
/** For TLS from the first byte. */
const handshakeMs = 10_000

/** All sessions of a worker and what they share. It opens no port: sockets are handed to it. */
export class Receiver extends SMTPServer implements ReceiverContext {
  readonly id: string
  readonly machine: string
  readonly spool: SpoolWriter
  readonly record: RecordEvent
  readonly wants: ReceiverContext['wants']
  readonly #facts: FactSink | undefined
  readonly credentials: Credentials
  readonly tokens: Tokens
  readonly lookupClients: LookupClients
  readonly queueRuns: QueueRuns
  readonly counters: Counters = newCounters()
  readonly offences: Offences
  readonly rates = new Rates()
  readonly certificates = new Certificates()
  readonly trouble: (error: unknown) => void
  policy: Policy
  stopping = false
  readonly #byAddress = new Map<string, number>()
  #open = 0
  #tellFullAfter = 0
  readonly #sweeper: NodeJS.Timeout

  constructor({ id, machine, policy, spool, record, facts, credentials, ...parts }: ReceiverParts) {
    const { wants, offences, tokens, lookupClients, runQueue, trouble } = parts
    super({ logger: false, name: machine, disableReverseLookup: true, hideSTARTTLS: true, socketTimeout: 30_000 })
    this.id = id
    this.machine = machine
    this.policy = policy
    this.spool = spool
    this.record = record
    this.wants = wants ?? (() => false)
    this.#facts = facts
    this.credentials = credentials
    this.offences = offences
    this.tokens = tokens
    this.lookupClients = lookupClients
    this.queueRuns = new QueueRuns(runQueue)
    this.trouble = trouble
    this.on('error', () => {})
    this.#sweeper = setInterval(() => this.#sweep(), sweepMs)
  }

  /** smtp-server would make a context of a key that everybody has. Ours come from the certificates. */
  override updateSecureContext(): void {
    this.secureContext = new Map()
  }

  override _resolveSNI(name: string, done: Parameters<SMTPServer['_resolveSNI']>[1]): void {
    done(null, this.certificates.contextFor(name) ?? undefined)
  }

  /** Throws an Error that names the certificate that cannot be used; then the ones before stay. */
  loadCertificates(...rows: Parameters<Certificates['load']>): void {
    this.certificates.load(...rows)
    const fallback = this.certificates.contextFor('')
    if (fallback) this.secureContext.set('*', fallback)
    else this.secureContext.delete('*')
  }

  /** Who wants no records wants none of these either. */
  get facts(): FactSink | undefined {
    const { destination, level } = this.policy.settings.logging
    return destination === 'none' || level === 'off' ? undefined : this.#facts
  }

  get tlsAvailable(): boolean {
    return this.certificates.available
  }

  spoolFull(): void {
    const now = Date.now()
    if (now < this.#tellFullAfter) return
    this.#tellFullAfter = now + 60_000
    // A disk that is full to the last octet has not even its reserve.
    const { free, reserve } = this.spool.load()
    this.record('spool.full', { freeBytes: Math.max(0, free + reserve), reserveBytes: reserve })
  }

  /** Sessions open now. */
  get sessions(): number {
    return this.#open
  }

  /** Takes over a connection whose PROXY header, if any, is read. For TLS from the first byte the handshake comes before. */
  take(socket: Socket, origin: Origin): void {
    if (origin.listener !== 'smtps') {
      this.#begin(socket, origin)
      return
    }
    const most = this.policy.settings.advanced.maxThreads
    if (this._pendingSockets.size >= most) socket.destroy()
    else this.#handshake(socket, origin)
  }

  /** smtp-server keeps the socket that is on top by the one it was given; in a handshake only that one may be destroyed. */
  #handshake(socket: Socket, origin: Origin): void {
    this._pendingSockets.set(socket, socket)
    const limit = setTimeout(() => this._pendingSockets.get(socket)?.destroy(), handshakeMs)
    this._upgrade(socket, (error, secured) => {
      clearTimeout(limit)
      this._pendingSockets.delete(socket)
      if (error || !secured) socket.destroy()
      else this.#begin(secured, origin)
    })
  }

  #begin(socket: Socket, origin: Origin): void {
    if (socket.destroyed) return
    const session = new Session(this, socket, origin)
    this.connections.add(session)
    session.on('error', () => {})
    session.init()
  }

  /** Counts a session in. @returns what the connect rules ask, this one included */
  enter(ip: string): { sessionsOpen: number; sessionsFromAddress: number } {
    const sessionsFromAddress = (this.#byAddress.get(ip) ?? 0) + 1
    this.#byAddress.set(ip, sessionsFromAddress)
    this.counters.sessions_total++
    return { sessionsOpen: ++this.#open, sessionsFromAddress }
  }

  gone(ip: string): void {
    this.#open--
    const left = (this.#byAddress.get(ip) ?? 1) - 1
    if (left > 0) this.#byAddress.set(ip, left)
    else this.#byAddress.delete(ip)
    if (this.#open === 0) this.emit('idle')
  }

  #sweep(): void {
    const now = Date.now()
    for (const session of this.#all()) if (session.pace.deadline < now) session.timeOut()
  }

  #all(): IterableIterator<Session> {
    return this.connections.values() as unknown as IterableIterator<Session>
  }

  /** Idle sessions end with 421; those within a transaction when it has its end, but no later than after `seconds`. */
  async drain(seconds: number): Promise<void> {
    this.stopping = true
    for (const session of this.#all()) session.stop()
    await this.#untilIdle(seconds * 1000)
    if (!this.stopping) return
    for (const session of this.#all()) session.leaveNow()
  }

  /** Takes sessions again. */
  resume(): void {
    this.stopping = false
    for (const session of this.#all()) session.stay()
    this.emit('idle')
  }

  #untilIdle(limitMs: number): Promise<void> {
    if (this.connections.size === 0) return Promise.resolve()
    return new Promise((done) => {
      const look = setInterval(() => {
        if (this.connections.size === 0 || !this.stopping) finish()
      }, 20)
      const limit = setTimeout(() => finish(), limitMs)
      const finish = () => {
        clearInterval(look)
        clearTimeout(limit)
        done()
      }
    })
  }

  /** Ends the sessions of addresses that were blocked by themselves. What an administrator enters is for new connections. */
  expelBlocked(): void {
    const now = Date.now()
    for (const session of this.#all()) {
      const entry = findBlock(this.policy.controlAccess, session.facts.ip, now)
      if (entry?.automatic && entry.action === 'deny') session.expel()
    }
  }

  /** Ends everything at once. */
  end(): void {
    clearInterval(this.#sweeper)
    for (const socket of this._pendingSockets.values()) socket.destroy()
    for (const session of this.#all()) session._socket.destroy()
  }
}
