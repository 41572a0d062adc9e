import type { Socket } from 'node:net'
import type { SecureContext, TLSSocket } from 'node:tls'
import { SMTPServer } from 'smtp-server'
import { type ConnectionOptions, SMTPConnection } from 'smtp-server/lib/smtp-connection.js'

/**
 * The only place that reads, sets or overrides private members of smtp-server: of its server the TLS handshakes and contexts, of
 * its connection the life of the socket. `smtp-server-base.test.ts` fails when a release changes one of them.
 * No text of smtp-server reaches the wire.
 */

export abstract class ServerBase<Session extends ConnectionBase> extends SMTPServer {
  constructor({ name, handshakeMs }: { name: string; handshakeMs: number }) {
    super({ logger: false, name, disableReverseLookup: true, hideSTARTTLS: true, socketTimeout: handshakeMs * 3 })
    this.on('error', () => {})
  }

  /** The certificate for a name that a client asks for (RFC 6066 §3). */
  protected abstract contextFor(name: string): SecureContext | undefined

  /** smtp-server would load a key that it publishes with its source. */
  override updateSecureContext(): void {
    this.secureContext = new Map()
  }

  override _resolveSNI(name: string, done: (error: Error | null, context?: SecureContext) => void): void {
    done(null, this.contextFor(name))
  }

  protected set defaultContext(context: SecureContext | undefined) {
    if (context) this.secureContext.set('*', context)
    else this.secureContext.delete('*')
  }

  /** Sockets within the handshake of TLS from the first byte. */
  protected get handshakes(): number {
    return this._pendingSockets.size
  }

  /**
   * TLS from the first byte. smtp-server keeps the TLS socket beside the one it was given: during a handshake only the TLS
   * socket may be destroyed.
   */
  protected handshake(
    socket: Socket,
    { timeoutMs, secured: done }: { timeoutMs: number; secured(socket: Socket): void },
  ): void {
    this._pendingSockets.set(socket, socket)
    const timer = setTimeout(() => this._pendingSockets.get(socket)?.destroy(), timeoutMs)
    this._upgrade(socket, (error, secured) => {
      clearTimeout(timer)
      this._pendingSockets.delete(socket)
      if (error || !secured) socket.destroy()
      else done(secured)
    })
  }

  protected get open(): ReadonlySet<Session> {
    return this.connections as unknown as Set<Session>
  }

  protected add(session: Session): void {
    this.connections.add(session)
    session.on('error', () => {})
  }

  protected destroyAll(): void {
    for (const socket of this._pendingSockets.values()) socket.destroy()
    for (const session of this.connections) session._socket.destroy()
  }
}

/** What reads the socket in place of smtp-server's parser. */
export type SocketReader = {
  /** Set when the session ends or moves to TLS: nothing more is read. */
  isClosed: boolean
}

export abstract class ConnectionBase<Reader extends SocketReader = SocketReader> extends SMTPConnection {
  #handshake: Socket | undefined

  constructor(server: SMTPServer, socket: Socket, options: ConnectionOptions) {
    super(server, socket, options)
  }

  /** Called by the constructor below, before the fields of a subclass are there; and again after a handshake. */
  protected abstract createReader(): Reader

  /** The socket is closed. Called once. */
  protected abstract closed(): void

  /** smtp-server has something to say to the client, and cannot go on. */
  protected abstract failed(): void

  override _createParser(): Reader {
    return this.createReader()
  }

  /** `undefined` once the socket is closed. */
  get reader(): Reader | undefined {
    return (this._parser as Reader | false) || undefined
  }

  get socket(): Socket | TLSSocket {
    return this._socket
  }

  /** Reads the socket from now on. */
  protected listen(then: () => void): void {
    this._setListeners(then)
  }

  /** smtp-server's replies go through here: none reaches the wire. */
  override send(): void {
    this.failed()
  }

  /**
   * Deadlines are ours: all sessions are looked through now and then, and no socket has a timer. smtp-server calls this with the
   * TLS socket when a handshake begins: only that one, and not the one below it, may be destroyed during the handshake.
   */
  override _armTimeout(handshake?: Socket): void {
    this.#handshake = handshake
    // The ports keep half-open connections open for replies that are still due. None is due during a handshake.
    handshake?.once('end', () => {
      if (this._upgrading) handshake.destroy()
    })
  }

  /** STARTTLS. `then` is called when the handshake has succeeded; after one that failed the socket is closed. */
  protected startHandshake(then: () => void): void {
    this.upgrade(() => {}, then)
  }

  protected destroySocket(): void {
    const socket = this._upgrading && this.#handshake ? this.#handshake : this._socket
    socket.destroy()
  }

  /** Ends the session without waiting for the client's FIN: nothing is left to be written. */
  protected destroyAtOnce(): void {
    this._closing = true
    if (this.reader) this.reader.isClosed = true
    this._socket.destroy()
  }

  override _onClose(): void {
    const isFirst = !this._closed
    super._onClose()
    if (isFirst) this.closed()
  }
}
