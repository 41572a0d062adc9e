import { connect, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'

/** A client that says exactly what a test says, byte for byte, and reads whole replies. */
export class WireClient {
  socket: Socket
  closed = false
  #text = ''
  #wake: () => void = () => {}

  constructor(socket: Socket) {
    this.socket = socket
    this.#listen()
  }

  static async to(port: number, options: { localAddress?: string; tls?: ConnectionOptions } = {}): Promise<WireClient> {
    const { tls, ...rest } = options
    const target = { host: '127.0.0.1', port, ...rest }
    const socket = tls ? connectTls({ ...target, rejectUnauthorized: false, ...tls }) : connect(target)
    await new Promise((done, fail) => socket.once(tls ? 'secureConnect' : 'connect', done).once('error', fail))
    return new WireClient(socket)
  }

  /** Connected, and the banner read. */
  static async greeted(port: number, options: Parameters<typeof WireClient.to>[1] = {}): Promise<WireClient> {
    const client = await WireClient.to(port, options)
    await client.reply()
    return client
  }

  #listen(): void {
    this.socket.setNoDelay(true)
    this.socket.on('data', (chunk: Buffer) => {
      this.#text += chunk.toString('latin1')
      this.#wake()
    })
    const end = () => {
      this.closed = true
      this.#wake()
    }
    this.socket.on('close', end).on('end', end).on('error', end)
  }

  write(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  /** One whole reply, without its last CRLF; `null` when the connection ended instead. */
  async reply(timeoutMs = 20_000): Promise<string | null> {
    const until = Date.now() + timeoutMs
    for (;;) {
      const whole = /^(?:\d{3}-[^\r\n]*\r\n)*\d{3} [^\r\n]*\r\n/.exec(this.#text)?.[0]
      if (whole !== undefined) {
        this.#text = this.#text.slice(whole.length)
        return whole.slice(0, -2)
      }
      if (this.closed) return null
      if (Date.now() > until) throw new Error(`no reply; so far: ${JSON.stringify(this.#text)}`)
      await this.#change(until - Date.now())
    }
  }

  /** Everything until the connection ends, or until it was quiet for so long. */
  async rest(quietMs = 200): Promise<string> {
    for (let before = -1; !this.closed && this.#text.length !== before; ) {
      before = this.#text.length
      await this.#change(quietMs)
    }
    const text = this.#text
    this.#text = ''
    return text
  }

  async untilClosed(timeoutMs = 20_000): Promise<string> {
    const until = Date.now() + timeoutMs
    while (!this.closed) {
      if (Date.now() > until) throw new Error('the connection was not closed')
      await this.#change(until - Date.now())
    }
    return this.rest()
  }

  #change(timeoutMs: number): Promise<void> {
    return new Promise((done) => {
      const timer = setTimeout(done, Math.max(1, timeoutMs))
      this.#wake = () => {
        clearTimeout(timer)
        done()
      }
    })
  }

  async say(line: string): Promise<string | null> {
    this.write(`${line}\r\n`)
    return this.reply()
  }

  /** EHLO, MAIL, RCPT, DATA; the replies must be as for mail that is taken. */
  async upToData(to = 'jane@example.test', from = 'sam@remote.test'): Promise<void> {
    for (const line of ['EHLO client.test', `MAIL FROM:<${from}>`, `RCPT TO:<${to}>`, 'DATA']) {
      const reply = await this.say(line)
      if (!/^[23]/.test(reply ?? '')) throw new Error(`${line}: ${reply}`)
    }
  }

  async send(body: string | Buffer, to?: string, from?: string): Promise<string | null> {
    await this.upToData(to, from)
    this.write(body)
    this.write('.\r\n')
    return this.reply()
  }

  /** STARTTLS and the handshake; what this client reads from now on came through TLS. */
  async startTls(options: ConnectionOptions = {}): Promise<void> {
    const plain = this.socket
    plain.removeAllListeners()
    const secured = connectTls({ socket: plain, rejectUnauthorized: false, ...options })
    await new Promise((done, fail) => secured.once('secureConnect', done).once('error', fail))
    this.socket = secured
    this.#listen()
  }

  end(): void {
    this.socket.destroy()
  }
}
