/** What we build on of smtp-server 3.21.6, and nothing more. Its own types are not reachable under `nodenext`. */

declare module 'smtp-server' {
  import type { EventEmitter } from 'node:events'
  import type { Socket } from 'node:net'
  import type { SecureContext, TLSSocket } from 'node:tls'
  import type { SMTPConnection } from 'smtp-server/lib/smtp-connection.js'

  export class SMTPServer extends EventEmitter {
    constructor(options: Record<string, unknown>)
    options: Record<string, unknown>
    /** Every open session. */
    connections: Set<SMTPConnection>
    /** `*` is the default. */
    secureContext: Map<string, SecureContext>
    /** Sockets within their handshake: the one accepted → the one on top of it. */
    _pendingSockets: Map<Socket, Socket>
    updateSecureContext(options?: Record<string, unknown>): void
    _resolveSNI(name: string, done: (error: Error | null, context?: SecureContext) => void): void
    /** TLS from the first byte: the handshake, bounded by `socketTimeout`. */
    _upgrade(socket: Socket, done: (error: Error | null, secured?: TLSSocket) => void): void
  }
}

declare module 'smtp-server/lib/smtp-connection.js' {
  import { EventEmitter } from 'node:events'
  import type { Socket } from 'node:net'
  import type { CipherNameAndProtocol } from 'node:tls'
  import type { SMTPServer } from 'smtp-server'

  export type ConnectionOptions = { id: string; remoteAddress?: string; localAddress?: string }

  export class SMTPConnection extends EventEmitter {
    constructor(server: SMTPServer, socket: Socket, options: ConnectionOptions)
    id: string
    secure: boolean
    remoteAddress: string
    localAddress: string
    tlsOptions: CipherNameAndProtocol | false
    session: { servername?: string | false }
    _socket: Socket
    /** `false` once the socket is closed. */
    _parser: unknown
    _upgrading: boolean
    _closing: boolean
    _closed: boolean
    init(): void
    send(code: number, text?: string | string[]): void
    /** Ends the socket and sees to it that it is gone within 5 s. */
    close(): void
    upgrade(callback: () => void, secured?: () => void): void
    _createParser(): unknown
    _setListeners(callback: () => void): void
    _armTimeout(socket?: Socket): void
    _onClose(): void
  }
}
