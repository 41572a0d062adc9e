import { Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { vi } from 'vitest'

type Timer = { ms: number; since: number; bytes: number; ran: boolean }

/**
 * For tests of what a connection does about time: `performance.now` and the timers of sockets, which belong to Node and which no
 * fake timer reaches, go by this clock. As Node's do, they begin anew with each byte that comes or goes, and run out once.
 */
export class SocketClock {
  readonly #timers = new Map<Socket, Timer>()
  #passed = 0

  constructor() {
    const now = performance.now.bind(performance)
    vi.spyOn(performance, 'now').mockImplementation(() => now() + this.#passed)
    const timers = this.#timers
    vi.spyOn(Socket.prototype, 'setTimeout').mockImplementation(function (this: Socket, ms, ranOut) {
      if (ranOut && ms > 0) this.once('timeout', ranOut)
      timers.set(this, { ms, since: performance.now(), bytes: bytesOf(this), ran: false })
      return this
    })
  }

  restore(): void {
    vi.restoreAllMocks()
  }

  /**
   * Lets so many milliseconds go by, in which `meanwhile` happens. Timers run out where Node has them run out: before it
   * reads what has come.
   */
  async pass(ms: number, meanwhile = () => {}): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 1))
    meanwhile()
    for (const [socket, timer] of this.#timers) {
      if (bytesOf(socket) === timer.bytes) continue
      Object.assign(timer, { since: performance.now(), bytes: bytesOf(socket), ran: false })
    }
    this.#passed += ms
    for (const [socket, timer] of this.#timers) {
      if (timer.ran || timer.ms === 0 || socket.destroyed || performance.now() - timer.since < timer.ms) continue
      timer.ran = true
      socket.emit('timeout')
    }
    await nextTurn()
    await nextTurn()
  }
}

function bytesOf(socket: Socket): number {
  return socket.bytesRead + socket.bytesWritten
}
