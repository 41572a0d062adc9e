import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** For tests: an SMTP server that says what the test wants, and remembers what it heard. */

export type Said = string | 'drop' | 'silence'
export type Script = {
  greeting?: Said
  /** Extensions; default PIPELINING, 8BITMIME, SIZE. */
  extensions?: string[]
  ehlo?: Said
  helo?: Said
  /** Reply to a command line (MAIL, RCPT, DATA, RSET, QUIT …); `undefined`: the usual. */
  command?(line: string, session: ServerSession): Said | undefined
  /** Reply at the end of data; an array for LMTP. */
  end?(session: ServerSession): Said | Said[] | undefined | Promise<Said | Said[] | undefined>
  /** Milliseconds before each reply at the end of data. */
  endPauseMs?: number
  lmtp?: boolean
}
export type Received = {
  sender: string
  recipients: string[]
  mail: string
  rcpts: string[]
  data: string
  session: number
}
export type ServerSession = {
  number: number
  commands: string[]
  recipients: string[]
  mail: string
  rcpts: string[]
  busy: boolean
}

export class TestServer {
  readonly received: Received[] = []
  readonly sessions: ServerSession[] = []
  script: Script
  /** Transactions between MAIL and their end. */
  busy = 0
  maxBusy = 0
  #server: Server
  #sockets = new Set<Socket>()

  private constructor(script: Script) {
    this.script = script
    this.#server = createServer((socket) => this.#serve(socket))
  }

  static async start(script: Script = {}, host = '127.0.0.1', port = 0): Promise<TestServer> {
    const server = new TestServer(script)
    server.#server.listen(port, host)
    await once(server.#server, 'listening')
    return server
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** As a domain's route. */
  get route() {
    return { type: this.script.lmtp ? 'lmtp' : 'smtp', host: '127.0.0.1', port: this.port, tls: 'opportunistic' }
  }

  /** A line to every client, unasked. */
  say(line: string): void {
    for (const socket of this.#sockets) this.#say(socket, line)
  }

  readNoMore(): void {
    for (const socket of this.#sockets) socket.pause()
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('close', () => {
      this.#sockets.delete(socket)
      this.#idle(session)
    })
    socket.on('error', () => {})
    const session: ServerSession = {
      number: this.sessions.length,
      commands: [],
      recipients: [],
      mail: '',
      rcpts: [],
      busy: false,
    }
    this.sessions.push(session)
    this.#say(socket, this.script.greeting ?? '220 test ESMTP')
    let rest = ''
    let data: string | undefined
    let busy = Promise.resolve()
    socket.on('data', (chunk) => {
      rest += chunk.toString('latin1')
      busy = busy.then(step)
    })
    const step = async () => {
      for (;;) {
        if (data !== undefined) {
          const all = `\r\n${data}${rest}`
          const at = all.indexOf('\r\n.\r\n')
          data += rest
          rest = ''
          if (at < 0) return
          rest = all.slice(at + 5)
          const text = all.slice(2, at + 2)
          data = undefined
          this.received.push({
            sender: session.mail.replace(/^MAIL FROM:<(.*?)>.*$/i, '$1'),
            recipients: session.recipients,
            mail: session.mail,
            rcpts: session.rcpts,
            data: text.replace(/^\.(?=.)/gm, ''),
            session: session.number,
          })
          const said = await this.script.end?.(session)
          const usual = this.script.lmtp ? session.recipients.map(() => '250 2.0.0 kept') : '250 2.0.0 taken'
          this.#idle(session)
          for (const each of [said ?? usual].flat()) {
            if (this.script.endPauseMs) await sleep(this.script.endPauseMs)
            this.#say(socket, each)
          }
          continue
        }
        const at = rest.indexOf('\r\n')
        if (at < 0) return
        const line = rest.slice(0, at)
        rest = rest.slice(at + 2)
        session.commands.push(line)
        const said = this.script.command?.(line, session) ?? this.#usual(line, session)
        if (/^DATA/i.test(line) && said.startsWith('354')) data = ''
        this.#say(socket, said)
      }
    }
  }

  #idle(session: ServerSession): void {
    if (session.busy) this.busy--
    session.busy = false
  }

  #usual(line: string, session: ServerSession): Said {
    const verb = line.slice(0, 4).toUpperCase()
    switch (verb) {
      case 'EHLO':
      case 'LHLO': {
        if (this.script.ehlo) return this.script.ehlo
        const lines = ['test', ...(this.script.extensions ?? ['PIPELINING', '8BITMIME', 'SIZE 50000000'])]
        return lines.map((text, i) => `250${i < lines.length - 1 ? '-' : ' '}${text}`).join('\r\n')
      }
      case 'HELO':
        return this.script.helo ?? '250 test'
      case 'MAIL':
        Object.assign(session, { mail: line, recipients: [], rcpts: [] })
        this.#idle(session)
        session.busy = true
        this.busy++
        this.maxBusy = Math.max(this.maxBusy, this.busy)
        return '250 2.1.0 ok'
      case 'RCPT':
        session.rcpts.push(line)
        session.recipients.push(line.replace(/^RCPT TO:<(.*?)>.*$/i, '$1'))
        return '250 2.1.5 ok'
      case 'DATA':
        return session.recipients.length > 0 ? '354 go on' : '554 5.5.1 no valid recipients'
      case 'QUIT':
        return '221 2.0.0 bye'
      default:
        return '250 2.0.0 ok'
    }
  }

  #say(socket: Socket, said: Said): void {
    if (said === 'drop') socket.destroy()
    else if (said !== 'silence' && !socket.destroyed) socket.write(Buffer.from(`${said}\r\n`, 'latin1'))
  }
}
