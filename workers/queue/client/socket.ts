import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { keepAlive } from '@postern/net/keep-alive.ts'
import type { ConnectOptions } from './connect-options.ts'
import { ConnectionFailure } from './connection-failure.ts'

/** A connected socket, encrypted already when TLS is implicit. Rejects with ConnectionFailure. */
export function openSocket(options: ConnectOptions): Promise<Socket> {
  const { peer, tls, timeouts, signal } = options
  return new Promise((resolve, reject) => {
    const at = { host: peer.address, port: peer.port, ...keepAlive, ...(signal ? { signal } : {}) }
    const socket = tls === 'implicit' ? connectTls({ ...at, ...tlsOptions(options) }) : connectTcp(at)
    const failed = (error: Error) => {
      socket.destroy()
      const code = (error as NodeJS.ErrnoException).code ?? error.message
      reject(new ConnectionFailure('connect', `${peer.host}[${peer.address}]:${peer.port}: ${code}`))
    }
    socket.setTimeout(timeouts.connect, () => failed(new Error(`no connection within ${timeouts.connect / 1000} s`)))
    socket.once('error', failed)
    socket.once(tls === 'implicit' ? 'secureConnect' : 'connect', () => {
      socket.setTimeout(0)
      socket.removeAllListeners('timeout').removeAllListeners('error')
      resolve(socket)
    })
  })
}

/** The same connection under TLS; the certificate is not looked at here. Rejects with ConnectionFailure. */
export function secure(plain: Socket, options: ConnectOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ socket: plain, ...tlsOptions(options) })
    const failed = (why: string) => {
      clearTimeout(timer)
      plain.on('error', () => {})
      socket.destroy()
      plain.destroy()
      reject(new ConnectionFailure('tls', `TLS handshake with ${options.peer.host} failed: ${why}`))
    }
    const timer = setTimeout(() => failed('no answer'), Math.min(options.timeouts.command, 30_000))
    socket.on('error', (error) => failed((error as NodeJS.ErrnoException).code ?? error.message))
    socket.once('close', () => failed('the remote closed the connection'))
    socket.once('secureConnect', () => {
      clearTimeout(timer)
      socket.removeAllListeners()
      resolve(socket)
    })
  })
}

/**
 * The handshake always ends well: whether the certificate proves what is asked is looked at afterwards. Opportunistic TLS
 * (RFC 7435) has nothing to verify against.
 */
function tlsOptions({ peer, verification }: ConnectOptions) {
  const name = (verification?.wants.kind === 'dane' && verification.wants.names[0]) || peer.host
  return {
    rejectUnauthorized: false,
    // Names are compared afterwards.
    checkServerIdentity: () => undefined,
    ...(verification ? { secureContext: verification.trust.context } : {}),
    ...(isIP(name) ? {} : { servername: name }),
  }
}
