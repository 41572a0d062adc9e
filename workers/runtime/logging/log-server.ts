import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { BackOff } from '@postern/contract/back-off.ts'
import { keepAlive } from '@postern/net/keep-alive.ts'
import { type LogLine, syslogMessage } from './log-line.ts'
import { type Sink, Waiting } from './sink.ts'

export type LogServerAddress = { host: string; port: number; tls: boolean }

const batchLines = 500
const reconnectPauses = { firstMs: 200, longestMs: 30_000 }
const connectMs = 10_000
/** A server that accepts no data for this long counts as gone. */
const silentMs = 30_000

/**
 * Sends RFC 5424 messages over TCP (RFC 6587 §3.4.1, octet counting) or TLS (RFC 5425). One batch is in transit at a
 * time and is dropped once the socket has accepted it. If the connection breaks before that, the batch is sent again.
 * The certificate is verified against the system's authorities and those in NODE_EXTRA_CA_CERTS.
 */
export class LogServerSink implements Sink {
  readonly #address: LogServerAddress
  readonly #waiting = new Waiting()
  readonly #failed: (why: string) => void
  #socket: Socket | undefined
  #ready = false
  #underWay: string[] = []
  readonly #backOff = new BackOff(reconnectPauses)
  #retry: NodeJS.Timeout | undefined
  #watch: NodeJS.Timeout | undefined
  #closed = false
  #trouble: string | undefined

  /** `failed`: called for each failed attempt. */
  constructor(address: LogServerAddress, failed: (why: string) => void) {
    this.#address = address
    this.#failed = failed
    this.#connect()
  }

  write(line: LogLine): void {
    const message = syslogMessage(line)
    this.#waiting.push(`${Buffer.byteLength(message)} ${message}`)
    this.#pump()
  }

  takeDropped(): { count: number; because: string } {
    return this.#waiting.takeDropped()
  }

  trouble(): string | undefined {
    return this.#trouble
  }

  #connect(): void {
    const { host, port, tls } = this.#address
    const at = { host, port, ...keepAlive }
    const socket = tls ? connectTls({ ...at, servername: host }) : connectTcp(at)
    this.#socket = socket
    let why = 'the log server closed the connection'
    const limit = setTimeout(() => socket.destroy(new Error('the connection timed out')), connectMs)
    socket.once(tls ? 'secureConnect' : 'connect', () => {
      clearTimeout(limit)
      this.#ready = true
      this.#trouble = undefined
      this.#backOff.reset()
      this.#pump()
    })
    socket.on('error', (error) => {
      why = error.message
    })
    // A log server sends no data. Reading is needed to notice the end of the connection.
    socket.resume()
    socket.once('close', () => {
      clearTimeout(limit)
      this.#gone(why)
    })
    socket.once('end', () => socket.destroy())
  }

  #gone(why: string): void {
    clearTimeout(this.#watch)
    this.#ready = false
    this.#socket = undefined
    this.#waiting.putBack(this.#underWay)
    this.#underWay = []
    if (this.#closed) return
    this.#trouble = `${this.#address.host}:${this.#address.port}: ${why}`
    this.#failed(why)
    this.#retry = setTimeout(() => this.#connect(), this.#backOff.next())
  }

  #pump(): void {
    const socket = this.#socket
    if (!socket || !this.#ready || this.#underWay.length > 0 || this.#waiting.size === 0) return
    this.#underWay = this.#waiting.take(batchLines)
    this.#watch = setTimeout(() => socket.destroy(new Error('the log server accepts no data')), silentMs)
    socket.write(this.#underWay.join(''), (error) => {
      if (error || socket !== this.#socket) return
      clearTimeout(this.#watch)
      this.#underWay = []
      this.#pump()
    })
  }

  async close(graceMs: number): Promise<void> {
    this.#closed = true
    const until = performance.now() + graceMs
    while (this.#ready && this.#waiting.size + this.#underWay.length > 0 && performance.now() < until)
      await new Promise((resolve) => setTimeout(resolve, 20))
    clearTimeout(this.#retry)
    this.#waiting.lost(this.#waiting.size + this.#underWay.length, 'the log server did not accept them before shutdown')
    this.#socket?.end()
    this.#socket?.destroySoon()
  }
}
