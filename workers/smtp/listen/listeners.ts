import type { AddressInfo } from 'node:net'
import { createServer, type Server, type Socket } from 'node:net'
import type { ListenAddress } from './listen-addresses.ts'

export type OpenListener = { name: string; address: string; port: number }
export type Failure = { address: ListenAddress; error: string }

type Open = { address: ListenAddress; server: Server; port: number }

/**
 * The open ports. New ones listen before old ones close; when one cannot be opened, the old one of its name stays. An unchanged
 * one is never closed, not even by a restart: closing a listening socket resets every connection in its accept queue, and a
 * second socket on the port (SO_REUSEPORT) does not change that. So a restart renews what is behind the socket and keeps the
 * socket, and no connection attempt is refused.
 */
export class Listeners {
  readonly #take: (socket: Socket, address: ListenAddress) => void
  #open: Open[] = []

  constructor(take: (socket: Socket, address: ListenAddress) => void) {
    this.#take = take
  }

  get open(): OpenListener[] {
    return this.#open.map(({ address: { name, address }, port }) => ({ name, address, port }))
  }

  /** Opens and closes ports until these are open. @returns the ones that could not be opened */
  async replace(wanted: readonly ListenAddress[]): Promise<Failure[]> {
    const next: Open[] = []
    const failures: Failure[] = []
    const opened = await Promise.all(wanted.map((address) => this.#keepOrOpen(address)))
    for (const [i, result] of opened.entries()) {
      const address = wanted[i] as ListenAddress
      if ('server' in result) next.push(result)
      else {
        failures.push({ address, error: result.error })
        const before = this.#open.find((one) => one.address.name === address.name && !next.includes(one))
        if (before) next.push(before)
      }
    }
    const old = this.#open.filter((one) => !next.some(({ server }) => server === one.server))
    this.#open = next
    for (const { server } of old) server.close()
    return failures
  }

  async #keepOrOpen(address: ListenAddress): Promise<Open | { error: string }> {
    const same = this.#open.find((one) => isSame(one.address, address) && one.server.listening)
    if (same) return { ...same, address }
    return openPort(address, (socket) => this.#take(socket, address))
  }

  /** Accepts no more connections. Those that were accepted go on. */
  close(): void {
    for (const { server } of this.#open) server.close()
    this.#open = []
  }
}

function isSame(a: ListenAddress, b: ListenAddress): boolean {
  return a.address === b.address && a.port === b.port && a.listener === b.listener
}

function openPort(address: ListenAddress, take: (socket: Socket) => void): Promise<Open | { error: string }> {
  const server = createServer({ noDelay: true, pauseOnConnect: false, allowHalfOpen: true }, take)
  return new Promise((done) => {
    server.once('error', (error) => done({ error: error.message }))
    server.listen({ host: address.address, port: address.port, backlog: 4096 }, () => {
      server.on('error', () => {})
      done({ address, server, port: (server.address() as AddressInfo).port })
    })
  })
}
