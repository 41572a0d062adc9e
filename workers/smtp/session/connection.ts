import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { SessionFacts } from '@postern/contract/facts.ts'
import { isLoginInForce } from '@postern/policy/login.ts'
import type { SMTPServer } from 'smtp-server'
import type { Origin } from '../listen/connection-origin.ts'
import { cut } from '../record/event-fields.ts'
import type { ReceiverContext } from './context.ts'
import type { LineReader } from './line-reader.ts'
import type { Phase } from './phase.ts'
import { ConnectionBase } from './smtp-server-base.ts'

/** One client's connection: its phase, the facts about it, and its change to TLS. */
export abstract class Connection extends ConnectionBase<LineReader> {
  readonly receiver: ReceiverContext
  readonly facts: SessionFacts
  #phase: Phase = 'new'

  constructor(receiver: ReceiverContext & SMTPServer, socket: Socket, origin: Origin) {
    super(receiver, socket, { id: origin.id, remoteAddress: origin.ip })
    this.receiver = receiver
    this.facts = {
      now: Date.now(),
      listener: origin.listener,
      ip: origin.ip,
      ...(origin.balancer === undefined ? {} : { balancer: origin.balancer }),
      ...(origin.local === undefined ? {} : { local: origin.local }),
      machine: receiver.machine,
      tlsAvailable: receiver.tlsAvailable,
    }
    if (origin.listener === 'smtps') this.#secured()
  }

  get phase(): Phase {
    return this.#phase
  }

  /** The only place that changes the phase. A session that closes never goes on. */
  enter(phase: Phase): void {
    if (this.#phase === 'closed' || (this.#phase === 'closing' && phase !== 'closed')) return
    this.#phase = phase
  }

  /** Nothing more is sent or read. */
  get isOver(): boolean {
    return this.#phase === 'closing' || this.#phase === 'closed'
  }

  /** The banner was sent. */
  protected get isGreeted(): boolean {
    return this.#phase !== 'new' && this.#phase !== 'greeting'
  }

  /** The facts as of now. A login ends with its account. */
  refresh(): SessionFacts {
    const { facts, receiver } = this
    facts.now = Date.now()
    facts.tlsAvailable = receiver.tlsAvailable
    if (facts.login !== undefined && !isLoginInForce(receiver.policy, facts.login)) facts.login = undefined
    return facts
  }

  /** `then` is called when the handshake has succeeded. */
  protected secureWith(then: () => void): void {
    this.enter('handshake')
    this.startHandshake(() => {
      this.enter('commands')
      this.#secured()
      then()
    })
  }

  #secured(): void {
    const socket = this.socket as TLSSocket
    const { servername } = socket as { servername?: string | false }
    this.secure = true
    this.facts.tls = {
      version: socket.getProtocol() ?? 'TLS',
      cipher: socket.getCipher().name,
      ...(servername ? { serverName: cut(servername, 255) } : {}),
    }
    this.receiver.counters.tls_sessions_total++
  }
}
