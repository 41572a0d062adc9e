import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls, type TLSSocket, type ConnectionOptions as TlsOptions } from 'node:tls'

/**
 * A raw SMTP client for tests, beside the code and of the whole system. It sends what it is told, byte by byte if needed, and reports what
 * arrived and when. It never repairs, retries or assumes. Every failure shows the dialogue so far.
 */

export type Reply = {
  code: number
  /** RFC 3463 code of the last line, e.g. `5.7.1`; absent when there is none. */
  enhanced?: string
  /** Text of each line, without code and separator. */
  lines: string[]
  /** All lines unchanged, joined with LF, for the messages of failed tests. */
  raw: string
  /** Milliseconds from the last thing sent (or the connection) to the end of this reply. */
  afterMs: number
}

export type WireOptions = {
  port: number
  /** Where the server is; 127.0.0.1 without it. */
  host?: string
  /** The address the client comes from, e.g. 127.0.0.7: the server sees it as another client. */
  from?: string
  /** TLS from the first byte. `servername` is what SNI says. */
  tls?: TlsOptions | boolean
  /** How long `expect` and `closed` wait; 10 000 ms without it. */
  withinMs?: number
  /** Sent at once after the connection, before the banner is read, e.g. a PROXY header. */
  first?: string | Uint8Array
}

type Expected = number | number[] | RegExp

export class WireClient {
  readonly transcript: string[] = []
  socket: Socket | TLSSocket
  readonly #withinMs: number
  #unread = ''
  /** Characters read so far. */
  #arrived = 0
  #replies: Reply[] = []
  #waiting: (() => void)[] = []
  #end: 'closed' | 'reset' | undefined
  #sentAt = performance.now()
  #lines: string[] = []

  constructor(socket: Socket, withinMs: number) {
    this.socket = socket
    this.#withinMs = withinMs
    this.#listen(socket)
  }

  /** Sends these lines in one packet, each ended by CRLF, and waits for nothing. */
  say(...lines: string[]): this {
    for (const line of lines) this.transcript.push(`C: ${line}`)
    return this.#send(Buffer.from(lines.map((line) => `${line}\r\n`).join(''), 'utf8'))
  }

  /** Sends one line and reads one reply, whatever it is. */
  async ask(line: string): Promise<Reply> {
    return this.say(line).reply()
  }

  /** Exactly these bytes (latin1 when a string), nothing added. */
  write(bytes: string | Uint8Array): this {
    const buffer = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : Buffer.from(bytes)
    this.transcript.push(`C: (${buffer.length} bytes) ${JSON.stringify(buffer.toString('latin1').slice(0, 200))}`)
    return this.#send(buffer)
  }

  /** Exactly these bytes in packets that end at these offsets, `pauseMs` apart so that the server reads each alone. */
  async writeSplit(bytes: string | Uint8Array, at: number[], pauseMs = 5): Promise<this> {
    const buffer = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : Buffer.from(bytes)
    const ends = [...at.filter((offset) => offset > 0 && offset < buffer.length), buffer.length]
    let start = 0
    for (const end of ends) {
      if (start > 0) await sleep(pauseMs)
      this.write(buffer.subarray(start, end))
      start = end
    }
    return this
  }

  /** Resolves with the next reply, in order. Rejects if the connection ends first or on a timeout. */
  async reply(): Promise<Reply> {
    await this.#until('a reply', () => this.#replies.length > 0)
    const reply = this.#replies.shift()
    if (!reply) throw this.#failure(`the connection ended (${this.#end}) before a reply`)
    return reply
  }

  /** The next reply, which must have this code (or one of these, or match this text) and, if given, enhanced code. */
  async expect(code: Expected, enhanced?: string): Promise<Reply> {
    const reply = await this.reply()
    const wanted = Array.isArray(code) ? code.join(' or ') : String(code)
    if (!matches(reply, code)) throw this.#failure(`expected ${wanted}, got ${reply.raw}`)
    if (enhanced && reply.enhanced !== enhanced) throw this.#failure(`expected ${wanted} ${enhanced}, got ${reply.raw}`)
    return reply
  }

  /** Greets and returns the extensions offered, by upper-case keyword, with their parameters. Reads the banner first. */
  async hello(name = 'client.test'): Promise<Map<string, string>> {
    await this.expect(220)
    return this.ehlo(name)
  }

  async ehlo(name = 'client.test'): Promise<Map<string, string>> {
    const { lines } = await this.say(`EHLO ${name}`).expect(250)
    return new Map(
      lines.slice(1).map((line) => {
        const [keyword = '', ...parameters] = line.split(' ')
        return [keyword.toUpperCase(), parameters.join(' ')]
      }),
    )
  }

  /** One whole mail, each step of which must succeed. The content is dot-stuffed here. Returns the reply to the end of data. */
  async mail({ from, to, content }: { from: string; to: string | string[]; content: string }): Promise<Reply> {
    await this.say(`MAIL FROM:<${from}>`).expect(250)
    for (const recipient of [to].flat()) await this.say(`RCPT TO:<${recipient}>`).expect([250, 251])
    await this.say('DATA').expect(354)
    const ended = content.endsWith('\r\n') ? content : `${content}\r\n`
    return this.write(`${ended.replace(/^\./gm, '..')}.\r\n`).expect(250)
  }

  /** Sends one line and reads one reply as text. */
  answer(line: string): Promise<string | null> {
    return this.say(line).text()
  }

  /** The next reply as the server wrote it, without its last CRLF; `null` when the connection ended instead. */
  async text(): Promise<string | null> {
    await this.#until('a reply', () => this.#replies.length > 0)
    return this.#replies.shift()?.raw.replaceAll('\n', '\r\n') ?? null
  }

  /** Everything that is unread when the server has sent nothing for so long, or has closed the connection. */
  async rest(quietMs = 200): Promise<string> {
    for (let before = -1; this.open && this.#arrived !== before; ) {
      before = this.#arrived
      await this.#change(quietMs)
    }
    const replies = this.#replies.splice(0).flatMap(({ raw }) => raw.split('\n'))
    const text = [...replies, ...this.#lines.splice(0)].map((line) => `${line}\r\n`).join('') + this.#unread
    this.#unread = ''
    return text
  }

  /** Everything until the server closes. */
  async untilClosed(): Promise<string> {
    await this.closed()
    return this.rest()
  }

  /** EHLO, MAIL, RCPT, DATA, each of which must succeed. */
  async upToData(to = 'jane@example.test', from = 'sam@remote.test'): Promise<void> {
    for (const line of ['EHLO client.test', `MAIL FROM:<${from}>`, `RCPT TO:<${to}>`, 'DATA'])
      await this.say(line).expect(/^[23]/)
  }

  /** One whole mail of exactly these bytes and the end of data. Returns the reply to it. */
  async send(body: string | Uint8Array, to?: string, from?: string): Promise<string | null> {
    await this.upToData(to, from)
    return this.write(body).write('.\r\n').text()
  }

  /** STARTTLS and the handshake; self-signed certificates are taken unless `options` says otherwise. Greet again after it. */
  async startTls(options: TlsOptions = {}): Promise<TLSSocket> {
    await this.say('STARTTLS').expect(220)
    return this.secure(options)
  }

  /** The handshake alone, after the reply to STARTTLS. */
  async secure(options: TlsOptions = {}): Promise<TLSSocket> {
    const plain = this.socket
    plain.removeAllListeners('data').removeAllListeners('end').removeAllListeners('error').removeAllListeners('close')
    const secure = connectTls({ rejectUnauthorized: false, ...options, socket: plain })
    await once(secure, 'secureConnect')
    this.socket = secure
    this.transcript.push(`(TLS ${secure.getProtocol()})`)
    this.#listen(secure)
    return secure
  }

  /** How the server ended the connection; `reset` when it did so by RST. Rejects when it stays open. */
  async closed(): Promise<'closed' | 'reset'> {
    await this.#until('the server closes', () => this.#end !== undefined)
    return this.#end as 'closed' | 'reset'
  }

  get open(): boolean {
    return this.#end === undefined
  }

  /** Replies that arrived and have not been read yet. */
  get pending(): number {
    return this.#replies.length
  }

  /** Half-closes: the server reads the end, and may still answer. */
  end(): void {
    this.socket.end()
  }

  /** Breaks the connection (RST), as a client that died would. */
  reset(): void {
    if ('resetAndDestroy' in this.socket) this.socket.resetAndDestroy()
  }

  async quit(): Promise<void> {
    await this.say('QUIT').expect(221)
    await this.closed()
  }

  /** Closes the socket without QUIT, for clean-up. */
  destroy(): void {
    this.socket.destroy()
  }

  #send(bytes: Uint8Array): this {
    this.#sentAt = performance.now()
    this.socket.write(bytes)
    return this
  }

  #listen(socket: Socket): void {
    socket.on('data', (chunk) => this.#read(chunk.toString('utf8')))
    socket.on('error', (error: NodeJS.ErrnoException) => this.#ended(error.code === 'ECONNRESET' ? 'reset' : 'closed'))
    socket.on('end', () => this.#ended('closed'))
    socket.on('close', () => this.#ended('closed'))
  }

  #ended(how: 'closed' | 'reset'): void {
    this.#end ??= how
    this.transcript.push(`(${how})`)
    this.#wake()
  }

  #read(text: string): void {
    this.#unread += text
    this.#arrived += text.length
    for (let end = this.#unread.indexOf('\n'); end >= 0; end = this.#unread.indexOf('\n')) {
      const line = this.#unread.slice(0, end).replace(/\r$/, '')
      this.#unread = this.#unread.slice(end + 1)
      this.transcript.push(`S: ${line}`)
      this.#lines.push(line)
      if (/^\d{3}-/.test(line)) continue
      this.#replies.push(parseReply(this.#lines, performance.now() - this.#sentAt))
      this.#lines = []
    }
    this.#wake()
  }

  #wake(): void {
    for (const waiter of this.#waiting.splice(0)) waiter()
  }

  async #until(what: string, come: () => boolean): Promise<void> {
    const end = performance.now() + this.#withinMs
    while (!come() && !(this.#end && what === 'a reply')) {
      const left = end - performance.now()
      if (left <= 0) throw this.#failure(`waited ${this.#withinMs} ms in vain for: ${what}`)
      await this.#change(left)
    }
  }

  /** Waits until something arrives or the connection ends, for so long at most. */
  #change(withinMs: number): Promise<void> {
    return new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, withinMs)
      this.#waiting.push(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  #failure(what: string): Error {
    return new Error(`${what}\nThe dialogue:\n  ${this.transcript.slice(-40).join('\n  ')}`)
  }
}

/** Returns a balancer's PROXY v1 header with this client address, IPv4 or IPv6. */
export function proxyHeader(ip: string): string {
  const addresses = ip.includes(':') ? `TCP6 ${ip} 2001:db8::25` : `TCP4 ${ip} 192.0.2.25`
  return `PROXY ${addresses} 40000 25\r\n`
}

/** Connects; the banner is the first reply to `expect`. */
export async function connect(options: WireOptions): Promise<WireClient> {
  const { host = '127.0.0.1', port, from, tls, first, withinMs = 30_000 } = options
  const local = from ? { localAddress: from } : {}
  const plain = connectTcp({ host, port, noDelay: true, ...local })
  await once(plain, 'connect')
  if (first !== undefined) plain.write(first)
  if (!tls) return new WireClient(plain, withinMs)
  const secure = connectTls({ rejectUnauthorized: false, ...(tls === true ? {} : tls), socket: plain })
  await once(secure, 'secureConnect')
  return new WireClient(secure, withinMs)
}

/** Connected, and the banner read. */
export async function pastBanner(options: WireOptions): Promise<WireClient> {
  const client = await connect(options)
  await client.reply()
  return client
}

function matches(reply: Reply, code: Expected): boolean {
  if (code instanceof RegExp) return code.test(reply.raw)
  return [code].flat().includes(reply.code)
}

function parseReply(raw: string[], afterMs: number): Reply {
  const lines = raw.map((line) => line.slice(4))
  const last = raw.at(-1) ?? ''
  const enhanced = /^\d{3}[ -]([245]\.\d{1,3}\.\d{1,3})(?: |$)/.exec(last)?.[1]
  return { code: Number(last.slice(0, 3)), ...(enhanced ? { enhanced } : {}), lines, raw: raw.join('\n'), afterMs }
}
