import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { type CertificateCheck, verificationError } from './certificate.ts'
import type { ConnectOptions } from './connect-options.ts'
import { ConnectionFailure, type Stage } from './connection-failure.ts'
import { withoutSecret } from './dialogue-log.ts'
import {
  base64,
  isAboutMechanism,
  LoginCutShort,
  type LoginMechanism,
  loginMechanisms,
  loginRefused,
  notOffered,
  offeredMechanisms,
  plainResponse,
  secretsOf,
} from './login.ts'
import { type BadReply, type Reply, ReplyReader, replyText } from './reply.ts'
import { openSocket, secure } from './socket.ts'

/** One SMTP or LMTP connection as a client: greeting, EHLO, STARTTLS, AUTH, and an exchange of commands and replies. */

type ReplyWait = { count: number; replies: Reply[]; resolve(replies: Reply[]): void }

export class Connection {
  readonly options: ConnectOptions
  /** EHLO keyword → parameters, upper case. Empty after HELO. */
  readonly extensions = new Map<string, string>()
  /** `TLSv1.3` when encrypted. */
  tls: string | undefined
  /** The certificate proved what it had to. */
  verified = false
  /** Transactions done on it. */
  used = 0
  /** Messages whose body was sent on it. */
  bodies = 0
  /** When it became idle; kept by the pool. */
  idleSince = 0
  stage: Stage = 'connect'
  #socket: Socket
  #reader = new ReplyReader()
  #unexpected: Reply[] = []
  #waiter: ReplyWait | undefined
  #failure: ConnectionFailure | undefined
  /** Until when, and for how many milliseconds, the host is waited for. */
  #deadline = 0
  #wait = 0
  /** Milliseconds of the socket's timer, which also runs while nothing is waited for; 0: to be set anew. */
  #timer = 0
  #draining = false
  /** Nothing has come since the timer ran out. */
  #silent = false
  /** While we log in: what no reply may repeat into an event. */
  #secrets: string[] = []
  #repliesReceived = 0

  private constructor(options: ConnectOptions, socket: Socket) {
    this.options = options
    this.#socket = socket
    this.#listen(socket)
  }

  /** Opens a connection ready for MAIL. Rejects with ConnectionFailure. */
  static async open(options: ConnectOptions): Promise<Connection> {
    const socket = await openSocket(options)
    const connection = new Connection(options, socket)
    try {
      if (options.tls === 'implicit') connection.#secured(socket as TLSSocket)
      await connection.#greet()
      return connection
    } catch (error) {
      connection.destroy()
      throw error
    }
  }

  get alive(): boolean {
    return !this.#failure && !this.#socket.destroyed
  }

  /** Why it cannot go on. */
  get failure(): ConnectionFailure | undefined {
    return this.#failure
  }

  /** Whether the remote sent something unasked or closed the connection: it must not be reused. */
  get disturbed(): boolean {
    return !this.alive || this.#unexpected.length > 0
  }

  /** Grows as long as bytes are sent and replies come. */
  get progress(): number {
    return this.#repliesReceived + this.#socket.bytesWritten
  }

  has(extension: string): boolean {
    return this.extensions.has(extension)
  }

  /** A piece of a message's body. */
  write(data: Buffer): boolean {
    return this.#socket.write(data)
  }

  /** Commands in one write. */
  send(lines: readonly string[]): void {
    this.options.dialogueLog?.sent(lines)
    this.#socket.write(`${lines.join('\r\n')}\r\n`)
  }

  /** Several buffers in one write. */
  writeParts(parts: readonly Buffer[]): void {
    const bytes = parts.reduce((sum, part) => sum + part.length, 0)
    // Copying a small message costs less than a vector of its parts.
    if (parts.length === 1 || bytes < 16_384) {
      this.#socket.write(parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts, bytes))
      return
    }
    this.#socket.cork()
    for (const part of parts) this.#socket.write(part)
    this.#socket.uncork()
  }

  /** Whether all that was written has left this process: a server may answer before it has read everything. */
  get hasNothingToWrite(): boolean {
    return this.#socket.writableLength === 0
  }

  /** Waits until what was written has left, so that a stream takes no memory; `ms` without progress fail the connection. */
  async drained(ms: number): Promise<void> {
    if (this.#failure) throw this.#failure
    this.#expectWithin(ms)
    this.#draining = true
    await new Promise<void>((resolve, reject) => {
      const failed = () => reject(this.#failure ?? new ConnectionFailure(this.stage, 'connection closed'))
      this.#socket.once('drain', () => {
        this.#draining = false
        this.#socket.off('close', failed)
        resolve()
      })
      this.#socket.once('close', failed)
    })
  }

  /** The next `count` replies, in order, within `ms`. Rejects with ConnectionFailure. */
  async replies(count: number, ms: number): Promise<Reply[]> {
    const replies = await this.repliesUntilFailure(count, ms)
    if (replies.length < count) throw this.#failure
    return replies
  }

  /** The same, but fewer when the connection breaks before all have come: those that came were said, and `failure` tells the rest. */
  repliesUntilFailure(count: number, ms: number): Promise<Reply[]> {
    const replies = this.#unexpected.splice(0, count)
    if (replies.length === count || this.#failure) return Promise.resolve(replies)
    this.#expectWithin(ms)
    return new Promise((resolve) => {
      this.#waiter = { count, replies, resolve }
    })
  }

  /** Silence longer than `ms` fails the connection, and so does a remote that only drips. */
  #expectWithin(ms: number): void {
    this.#deadline = performance.now() + ms
    this.#wait = ms
    if (ms === this.#timer) return
    this.#timer = ms
    this.#socket.setTimeout(ms)
  }

  #timedOut(): void {
    // Timers come before what has arrived: an answer that is here already, unread while we were busy, is no silence.
    this.#silent = true
    setImmediate(() => {
      if (!this.#silent || this.#failure) return
      this.#timer = 0
      // We were preparing what comes next, and that is not the host's silence.
      if (!this.#waiter && !this.#draining) return
      const left = Math.ceil(this.#deadline - performance.now())
      // The timer may have begun before the wait did.
      if (left > 0) this.#socket.setTimeout(left)
      else this.#fail(`no answer within ${Math.round(this.#wait / 1000)} s`, true)
    })
  }

  async command(line: string, ms: number): Promise<Reply> {
    this.send([line])
    return (await this.replies(1, ms))[0] as Reply
  }

  /** Sends QUIT and closes; never throws, never waits long. */
  quit(): void {
    if (!this.alive) {
      this.destroy()
      return
    }
    this.#failure = new ConnectionFailure(this.stage, 'we closed the connection')
    this.options.dialogueLog?.sent(['QUIT'])
    this.#socket.end('QUIT\r\n')
    this.#socket.setTimeout(2000, () => this.destroy())
    this.#socket.resume()
  }

  destroy(): void {
    this.#failure ??= new ConnectionFailure(this.stage, 'we closed the connection')
    this.#socket.destroy()
  }

  #listen(socket: Socket): void {
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#data(chunk))
    socket.on('error', (error) => this.#fail(`${(error as NodeJS.ErrnoException).code ?? error.message}`))
    socket.on('close', () => this.#fail('the remote closed the connection'))
    socket.on('timeout', () => this.#timedOut())
  }

  #data(chunk: Buffer): void {
    if (this.#failure) return
    this.#silent = false
    try {
      this.#take(this.#reader.feed(chunk))
    } catch (error) {
      this.#take((error as BadReply).before)
      // What is no reply may repeat a secret all the same.
      this.#fail(this.#secrets.length > 0 ? 'not an SMTP reply' : (error as BadReply).message)
    }
  }

  #take(given: Reply[]): void {
    let replies = given
    if (this.#secrets.length > 0) replies = replies.map((reply) => withoutSecret(reply, this.#secrets))
    if (this.options.dialogueLog?.isOpen) for (const reply of replies) this.options.dialogueLog.received(reply)
    this.#repliesReceived += replies.length
    const waiter = this.#waiter
    if (!waiter) {
      this.#unexpected.push(...replies)
      if (this.#unexpected.length > 2000) this.#fail('replies to nothing')
      return
    }
    for (const reply of replies) (waiter.replies.length < waiter.count ? waiter.replies : this.#unexpected).push(reply)
    if (waiter.replies.length === waiter.count) {
      this.#waiter = undefined
      waiter.resolve(waiter.replies)
    } else if (performance.now() > this.#deadline) this.#fail('the remote answers too slowly', true)
    // RFC 5321 §4.5.3.2.6 for each: an LMTP server delivers to one recipient after the other.
    else if (replies.length > 0 && this.stage === 'end') this.#deadline = performance.now() + this.#wait
  }

  #fail(message: string, silent = false): void {
    const waiter = this.#waiter
    this.#waiter = undefined
    this.#failure ??= new ConnectionFailure(this.stage, `${message} (${this.stage})`, this.#lastWords(waiter))
    this.#failure.silent ||= silent
    this.#socket.destroy()
    waiter?.resolve(waiter.replies)
  }

  /** What it said last (421, 554 …) explains more than that it closed; unless that answers one command of several. */
  #lastWords(waiter: ReplyWait | undefined): Reply | undefined {
    const answer = waiter?.replies.at(-1)
    const last = this.#unexpected.at(-1) ?? (answer?.code === 421 ? answer : undefined)
    return last && last.code >= 400 ? last : undefined
  }

  async #greet(): Promise<void> {
    const { timeouts, tls, auth } = this.options
    this.stage = 'greeting'
    const [greeting] = (await this.replies(1, timeouts.greeting)) as [Reply]
    if (greeting.code !== 220) throw new ConnectionFailure('greeting', 'refused at connect', greeting)
    this.#notUs(greeting)
    await this.#hello()
    if (tls === 'opportunistic' || tls === 'require') await this.#startTls()
    if (auth) await this.#authenticate(auth)
    this.stage = 'mail'
  }

  async #hello(): Promise<void> {
    const { protocol, name, timeouts } = this.options
    this.stage = 'hello'
    this.extensions.clear()
    const reply = await this.command(`${protocol === 'lmtp' ? 'LHLO' : 'EHLO'} ${name}`, timeouts.command)
    if (reply.code === 250) {
      this.#notUs(reply)
      for (const line of reply.lines.slice(1)) {
        const [keyword = '', ...rest] = line.trim().split(/[ =]/)
        const name = keyword.toUpperCase()
        const parameters = rest.join(' ').toUpperCase()
        // Old servers offer AUTH twice, as `AUTH PLAIN` and `AUTH=LOGIN`.
        const before = name === 'AUTH' ? this.extensions.get(name) : undefined
        this.extensions.set(name, before ? `${before} ${parameters}` : parameters)
      }
      return
    }
    if (protocol === 'lmtp' || reply.code < 500) throw new ConnectionFailure('hello', 'refused our name', reply)
    const plain = await this.command(`HELO ${name}`, timeouts.command)
    if (plain.code !== 250) throw new ConnectionFailure('hello', 'refused our name', plain)
  }

  /** The first word of a greeting and of the reply to EHLO is the server's name (RFC 5321 §4.2 and §4.1.1.1). */
  #notUs({ lines }: Reply): void {
    const name = lines[0]?.trim().split(/\s/, 1)[0] ?? ''
    if (!this.options.isUs?.(name)) return
    const { host, address, port } = this.options.peer
    throw new ConnectionFailure('loop', `mail loops back to this server: ${host}[${address}]:${port} greets as ${name}`)
  }

  async #startTls(): Promise<void> {
    if (!this.has('STARTTLS')) {
      this.options.onUnverified?.(`${this.options.peer.host} does not offer STARTTLS`)
      if (this.options.tls === 'opportunistic') return
      throw new ConnectionFailure('tls', `${this.options.peer.host} does not offer STARTTLS, which is required here`)
    }
    this.stage = 'tls'
    const reply = await this.command('STARTTLS', this.options.timeouts.command)
    if (reply.code !== 220) {
      this.options.onUnverified?.(`${this.options.peer.host} refuses STARTTLS`)
      if (this.options.tls === 'require') throw new ConnectionFailure('tls', 'STARTTLS refused', reply)
      return
    }
    // RFC 3207 §4.2 and CVE-2011-0411: what came in plain text after the 220 is not to be believed.
    if (this.#unexpected.length > 0) throw new ConnectionFailure('tls', 'the remote spoke before the TLS handshake')
    this.#socket.removeAllListeners()
    this.#socket = await secure(this.#socket, this.options)
    this.#reader = new ReplyReader()
    this.#timer = 0
    this.#listen(this.#socket)
    this.#secured(this.#socket as TLSSocket)
    await this.#hello()
  }

  /** Throws when the certificate does not prove what it has to. */
  #secured(socket: TLSSocket): void {
    const { verification, peer, tls, onUnverified } = this.options
    this.tls = socket.getProtocol() ?? 'TLS'
    if (!verification) return
    const wrong = verificationError(socket, peer.host, verification.wants)
    this.verified = wrong === undefined
    if (this.verified) return
    const problem = `the certificate of ${peer.host} is not verified: ${wrong} (wanted by ${wantedBy(verification.wants)})`
    if (tls === 'opportunistic') onUnverified?.(problem)
    else throw new ConnectionFailure('proof', problem)
  }

  /** Tries the mechanisms that both sides support, in turn: one may not work for this account. */
  async #authenticate(auth: { user: string; secret: string }): Promise<void> {
    this.stage = 'auth'
    const { host } = this.options.peer
    if (!this.tls) throw new ConnectionFailure('auth', `${host} gave no TLS: the password is not sent in plain text`)
    const offered = offeredMechanisms(this.extensions)
    const both = loginMechanisms.filter((mechanism) => offered.has(mechanism))
    if (both.length === 0) throw new ConnectionFailure('auth', notOffered(host, offered))
    this.#secrets = secretsOf(auth)
    const refusals = new Map(this.options.refusals)
    for (const mechanism of both) {
      if (refusals.has(mechanism)) continue
      const reply = await this.#login(mechanism, auth).catch((error: ConnectionFailure) => {
        const anew = refusals.size > (this.options.refusals?.size ?? 0)
        throw anew ? new LoginCutShort(error, refusals) : error
      })
      if (reply.code === 235) {
        this.#secrets = []
        return
      }
      if (!isAboutMechanism(reply)) throw new ConnectionFailure('auth', 'login refused', reply)
      refusals.set(mechanism, replyText(reply))
    }
    throw loginRefused(host, auth.user, refusals)
  }

  async #login(mechanism: LoginMechanism, auth: { user: string; secret: string }): Promise<Reply> {
    const timeouts = this.options.timeouts.command
    let reply: Reply
    if (mechanism === 'PLAIN') {
      reply = await this.command(`AUTH PLAIN ${plainResponse(auth)}`, timeouts)
    } else {
      reply = await this.command('AUTH LOGIN', timeouts)
      if (reply.code === 334) reply = await this.#answer(base64(auth.user))
      if (reply.code === 334) reply = await this.#answer(base64(auth.secret))
    }
    // Another challenge is none we can answer: the exchange is cancelled (RFC 4954 §4).
    return reply.code === 334 ? this.#answer('*') : reply
  }

  /** To a challenge. */
  async #answer(line: string): Promise<Reply> {
    this.options.dialogueLog?.sent([line], true)
    this.#socket.write(`${line}\r\n`)
    return (await this.replies(1, this.options.timeouts.command))[0] as Reply
  }
}

function wantedBy(proof: CertificateCheck): string {
  return proof.kind === 'dane' ? 'its TLSA records (DANE)' : proof.by
}
