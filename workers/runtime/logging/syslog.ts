import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { existsSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import { type LogLine, priorityOf, syslogMessage, textOf } from './log-line.ts'
import { type Sink, Waiting } from './sink.ts'

/**
 * The local syslog. `/dev/log` is a datagram socket in the file system, which Node cannot write to. So one `logger`
 * process (util-linux) for each worker sends a message for each input line. With `host:port`, messages are sent over
 * UDP (RFC 5426).
 */
export function syslogSink(where: string, failed: (why: string) => void): Sink {
  const udp = /^\[?([^\]/]+)\]?:(\d+)$/.exec(where)
  if (udp) return new UdpSink(udp[1] as string, Number(udp[2]))
  return new LoggerSink(where, failed)
}

const restartMs = 1_000
const batchLines = 200
/** A `logger` without complaints for this long is assumed to reach the daemon. */
const provenMs = 2_000

class LoggerSink implements Sink {
  readonly #socketPath: string
  readonly #failed: (why: string) => void
  readonly #waiting = new Waiting()
  #child: ChildProcessByStdio<Writable, null, Readable> | undefined
  #app = ''
  #blocked = false
  #restart: NodeJS.Timeout | undefined
  #closed = false
  #trouble: string | undefined

  constructor(socketPath: string, failed: (why: string) => void) {
    this.#socketPath = socketPath
    this.#failed = failed
  }

  write(line: LogLine): void {
    this.#app = line.app
    this.#waiting.push(`<${priorityOf(line)}>${textOf(line)}\n`)
    this.#pump()
  }

  takeDropped(): { count: number; because: string } {
    return this.#waiting.takeDropped()
  }

  /** Also checked while there is nothing to write. */
  trouble(): string | undefined {
    if (!this.#child && !existsSync(this.#socketPath)) return `there is no ${this.#socketPath}`
    return this.#trouble
  }

  #start(): void {
    const args = ['--socket', this.#socketPath, '--socket-errors=on', '--prio-prefix', '--size', '16384']
    const child = spawn('logger', [...args, `--id=${process.pid}`, '--tag', `postern-${this.#app}`], {
      stdio: ['pipe', 'ignore', 'pipe'],
    })
    this.#child = child
    this.#blocked = false
    let why = ''
    const proven = setTimeout(() => {
      this.#trouble = undefined
    }, provenMs).unref()
    child.stderr.on('data', (text) => {
      why = String(text).trim().split('\n').at(-1)?.slice(0, 200) ?? ''
      // There is one complaint for each message that the daemon did not accept.
      this.#waiting.lost(String(text).trim().split('\n').length, why)
      this.#trouble = why
      proven.refresh()
      this.#failed(why)
    })
    child.stdin.on('error', () => {})
    child.stdin.on('drain', () => {
      this.#blocked = false
      this.#pump()
    })
    const gone = (because: string) => {
      clearTimeout(proven)
      if (this.#child !== child) return
      this.#child = undefined
      if (!this.#closed) this.#later(because)
    }
    child.once('error', (error) => gone(error.message))
    child.once('exit', (code) => gone(why || `logger ended with ${code}`))
  }

  #later(because: string): void {
    this.#trouble = because
    this.#failed(because)
    this.#restart = setTimeout(() => {
      this.#restart = undefined
      this.#pump()
    }, restartMs)
  }

  #pump(): void {
    if (this.#restart || this.#closed || this.#waiting.size === 0) return
    if (!this.#child && !existsSync(this.#socketPath)) {
      this.#later(`there is no ${this.#socketPath}`)
      return
    }
    if (!this.#child) this.#start()
    while (!this.#blocked && this.#waiting.size > 0)
      this.#blocked = !this.#child?.stdin.write(this.#waiting.take(batchLines).join(''))
  }

  async close(graceMs: number): Promise<void> {
    this.#closed = true
    clearTimeout(this.#restart)
    const child = this.#child
    if (!child) return
    child.stdin.end(this.#waiting.take(Number.POSITIVE_INFINITY).join(''))
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    const force = setTimeout(() => child.kill('SIGKILL'), graceMs)
    await gone
    clearTimeout(force)
  }
}

class UdpSink implements Sink {
  readonly #host: string
  readonly #port: number
  readonly #socket
  readonly #lost = new Waiting()
  #underWay = 0
  #trouble: string | undefined

  constructor(host: string, port: number) {
    this.#host = host
    this.#port = port
    this.#socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
    this.#socket.on('error', () => {})
    this.#socket.unref()
  }

  write(line: LogLine): void {
    this.#underWay++
    this.#socket.send(syslogMessage(line), this.#port, this.#host, (error) => {
      this.#underWay--
      this.#trouble = error?.message
      if (error) this.#lost.lost(1, error.message)
    })
  }

  trouble(): string | undefined {
    return this.#trouble
  }

  takeDropped(): { count: number; because: string } {
    return this.#lost.takeDropped()
  }

  async close(graceMs: number): Promise<void> {
    const until = performance.now() + graceMs
    while (this.#underWay > 0 && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 5))
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()))
  }
}
