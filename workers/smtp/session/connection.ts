import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Listener, SessionFacts } from '@postern/contract/facts.ts'
import { isLoginInForce } from '@postern/policy/login.ts'
import type { SMTPServer } from 'smtp-server'
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js'
import { cut } from '../record/event-fields.ts'
import type { ReceiverContext } from './context.ts'

/** Where a connection came from and came in. */
export type Origin = {
  id: string
  listener: Listener
  /** Canonical address of the client, behind a balancer the one it named. */
  ip: string
  balancer?: string
  /** The address of ours that was connected to. */
  local?: string
}

/** The receiver, as a connection sees it. */
export type ReceiverServer = SMTPServer &
  ReceiverContext & {
    readonly stopping: boolean
    /** Counts a session in. @returns what the connect rules ask, this one included */
    enter(ip: string): { sessionsOpen: number; sessionsFromAddress: number }
    gone(ip: string): void
    /** Something that no client can help. */
    trouble(error: unknown): void
  }

/**
 * One client's connection: what is known of it, and its change to TLS. Of smtp-server's connection it keeps the socket's life:
 * errors, half-open ends, handshakes. No text of smtp-server reaches the wire.
 */
export abstract class Connection extends SMTPConnection {
  readonly receiver: ReceiverServer
  readonly facts: SessionFacts
  #handshake: Socket | undefined

  constructor(receiver: ReceiverServer, socket: Socket, origin: Origin) {
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

  /** The facts as of now. A login ends with its account. */
  refresh(): SessionFacts {
    const { facts, receiver } = this
    facts.now = Date.now()
    facts.tlsAvailable = receiver.tlsAvailable
    if (facts.login !== undefined && !isLoginInForce(receiver.policy, facts.login)) facts.login = undefined
    return facts
  }

  /** Nothing more is said or heard. */
  get isOver(): boolean {
    return this._closing || this._closed
  }

  /**
   * Time-outs are ours: one look at all sessions now and then, instead of a timer in each socket. smtp-server calls this with
   * the new socket when a handshake begins; that one, and not the one below it, is what may be destroyed during it.
   */
  override _armTimeout(handshake?: Socket): void {
    this.#handshake = handshake
    // The ports keep half-open ends open, for replies that are still owed. Nobody is owed the rest of a handshake.
    handshake?.once('end', () => {
      if (this._upgrading) handshake.destroy()
    })
  }

  protected destroy(): void {
    const socket = this._upgrading && this.#handshake ? this.#handshake : this._socket
    socket.destroy()
  }

  /** `then` is called when the handshake has succeeded. */
  protected secureWith(then: () => void): void {
    this.upgrade(
      () => {},
      () => {
        this.#secured()
        then()
      },
    )
  }

  #secured(): void {
    const socket = this._socket as TLSSocket
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
