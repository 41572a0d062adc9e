import type { AddressInfo } from 'node:net'
import { createServer, type Server, type Socket } from 'node:net'
import type { ListenAddress } from './plan.ts'

export type OpenListener = { name: string; address: string; port: number }
export type Failure = { door: ListenAddress; error: string }

type Open = { door: ListenAddress; server: Server; port: number }

/**
 * The ports that are open. New ones listen before old ones close; one that cannot be opened leaves the old one of its
 * name in force. An unchanged one is never closed, not by a restart either: closing a listening socket resets every
 * connection that waits in its accept queue, and a second one beside it (SO_REUSEPORT) does not change that. So a restart
 * renews what stands behind the socket and keeps the socket, and no connection attempt can be refused.
 */
export class Listeners {
  readonly #take: (socket: Socket, door: ListenAddress) => void
  #open: Open[] = []

  constructor(take: (socket: Socket, door: ListenAddress) => void) {
    this.#take = take
  }

  get open(): OpenListener[] {
    return this.#open.map(({ door: { name, address }, port }) => ({ name, address, port }))
  }

  /** Makes the open ports those wanted. @returns the ones that could not be opened */
  async become(wanted: readonly ListenAddress[]): Promise<Failure[]> {
    const next: Open[] = []
    const failures: Failure[] = []
    const opened = await Promise.all(wanted.map((door) => this.#keepOrOpen(door)))
    for (const [i, result] of opened.entries()) {
      const door = wanted[i] as ListenAddress
      if ('server' in result) next.push(result)
      else {
        failures.push({ door, error: result.error })
        const before = this.#open.find((one) => one.door.name === door.name && !next.includes(one))
        if (before) next.push(before)
      }
    }
    const old = this.#open.filter((one) => !next.some(({ server }) => server === one.server))
    this.#open = next
    for (const { server } of old) server.close()
    return failures
  }

  async #keepOrOpen(door: ListenAddress): Promise<Open | { error: string }> {
    const same = this.#open.find((one) => isSame(one.door, door) && one.server.listening)
    if (same) return { ...same, door }
    return openDoor(door, (socket) => this.#take(socket, door))
  }

  /** Takes no more. What was accepted goes on. */
  close(): void {
    for (const { server } of this.#open) server.close()
    this.#open = []
  }
}

function isSame(a: ListenAddress, b: ListenAddress): boolean {
  return a.address === b.address && a.port === b.port && a.listener === b.listener
}

function openDoor(door: ListenAddress, take: (socket: Socket) => void): Promise<Open | { error: string }> {
  const server = createServer({ noDelay: true, pauseOnConnect: false, allowHalfOpen: true }, take)
  return new Promise((done) => {
    server.once('error', (error) => done({ error: error.message }))
    server.listen({ host: door.address, port: door.port, backlog: 4096 }, () => {
      server.on('error', () => {})
      done({ door, server, port: (server.address() as AddressInfo).port })
    })
  })
}
