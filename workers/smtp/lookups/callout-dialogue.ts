import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { HookFailure } from '@postern/net/http/hook-failure.ts'
import { keepAlive } from '@postern/net/keep-alive.ts'
import type { CalloutHost } from '@postern/policy/expand.ts'

/** One callout: up to RCPT, without a message. Nothing of the host's replies is used but their codes. */
export type Question = {
  host: CalloutHost
  /** One of the host's addresses, already checked. */
  ip: string
  /** Our own name, for EHLO. */
  name: string
  recipient: string
  /** For the whole callout. */
  timeoutMs: number
}

export type CalloutAnswer = 'exists' | 'unknown'

/** Bytes of one reply. */
const longestReply = 8192

/** Rejects with HookFailure when the host gave no clear answer. */
export async function callOut(question: Question): Promise<CalloutAnswer> {
  const socket = connectTcp({ host: question.ip, port: question.host.port, ...keepAlive })
  const connection = new HostConnection(socket)
  const where = `${question.host.host}:${question.host.port}`
  const timer = setTimeout(
    () => connection.fail(new HookFailure('timeout', `${where} did not answer within ${question.timeoutMs} ms`)),
    question.timeoutMs,
  )
  try {
    return await dialogue(connection, question)
  } catch (error) {
    if (error instanceof HookFailure) throw error
    const { code, message } = error as NodeJS.ErrnoException
    throw new HookFailure('unreachable', `${where}: ${code ?? message}`)
  } finally {
    clearTimeout(timer)
    connection.end()
  }
}

async function dialogue(connection: HostConnection, { host, name, recipient }: Question): Promise<CalloutAnswer> {
  await connection.expect(220)
  let offers = await greet(connection, host, name)
  if (host.tls !== 'none' && offers.has('STARTTLS')) {
    await connection.ask('STARTTLS', 220)
    await connection.secure(host.host)
    offers = await greet(connection, host, name)
  } else if (host.tls === 'require')
    throw new HookFailure('unreachable', `${host.host} does not offer STARTTLS, which is required here`)
  const needsUtf8 = /[^\x00-\x7f]/.test(recipient)
  if (needsUtf8 && !offers.has('SMTPUTF8')) return 'unknown'
  await connection.ask(`MAIL FROM:<>${needsUtf8 ? ' SMTPUTF8' : ''}`, 250)
  return meaningOf(await connection.send(`RCPT TO:<${recipient}>`), host)
}

async function greet(connection: HostConnection, { protocol }: CalloutHost, name: string): Promise<Set<string>> {
  const { code, lines } = await connection.send(`${protocol === 'lmtp' ? 'LHLO' : 'EHLO'} ${name}`)
  if (code === 250) return new Set(lines.slice(1).map((text) => (text.split(/[ =]/, 1)[0] ?? '').toUpperCase()))
  if (protocol === 'lmtp' || code < 500) throw new HookFailure('nonsense', `it answered ${code} to our greeting`)
  await connection.ask(`HELO ${name}`, 250)
  return new Set()
}

/** A full mailbox exists. 500 to 504 are about the command, 4xx about the moment: neither is about the recipient. */
function meaningOf({ code, lines }: Reply, { host }: CalloutHost): CalloutAnswer {
  if (code >= 200 && code < 300) return 'exists'
  if (code === 552 || /^5\.2\.2\b/.test(lines[0] ?? '')) return 'exists'
  if (code >= 505) return 'unknown'
  throw new HookFailure('nonsense', `${host} answered ${code} to the recipient`)
}

type Reply = { code: number; lines: string[] }

/** The connection to the host, reply by reply. */
class HostConnection {
  #socket: Socket
  #text = ''
  #waiting: { resolve(reply: Reply): void; reject(error: Error): void } | undefined
  #failure: Error | undefined

  constructor(socket: Socket) {
    this.#socket = socket
    this.#listen(socket)
  }

  #listen(socket: Socket): void {
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => {
      this.#text += text
      if (this.#text.length > longestReply) this.fail(new HookFailure('nonsense', 'its replies are too long'))
      else this.#look()
    })
    socket.on('error', (error) => this.fail(error))
    socket.on('close', () => this.fail(new HookFailure('unreachable', 'the host closed the connection')))
  }

  fail(error: Error): void {
    this.#failure ??= error
    this.#socket.destroy()
    this.#waiting?.reject(this.#failure)
    this.#waiting = undefined
  }

  #look(): void {
    const waiting = this.#waiting
    if (!waiting) return
    const found = /^((?:\d{3}-[^\n]*\n)*)(\d{3})(?: ([^\n]*))?\r?\n/.exec(this.#text)
    if (!found) {
      if (/\n/.test(this.#text) && !/^(\d{3}-[^\n]*\n)*(\d{3}[ -][^\n]*)?\r?$/.test(this.#text))
        this.fail(new HookFailure('nonsense', 'it does not speak SMTP'))
      return
    }
    this.#text = this.#text.slice(found[0].length)
    this.#waiting = undefined
    const lines = `${found[1]}${found[2]} ${found[3] ?? ''}`.split(/\r?\n/).map((text) => text.slice(4).trim())
    waiting.resolve({ code: Number(found[2]), lines })
  }

  next(): Promise<Reply> {
    if (this.#failure) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#look()
    })
  }

  send(command: string): Promise<Reply> {
    // A reply that came before its command answers nothing (CVE-2011-0411).
    if (this.#text !== '') this.fail(new HookFailure('nonsense', 'it replied before it was asked'))
    else this.#socket.write(`${command}\r\n`, 'utf8')
    return this.next()
  }

  async expect(code: number): Promise<void> {
    const reply = await this.next()
    if (reply.code !== code) throw new HookFailure('nonsense', `it answered ${reply.code} instead of ${code}`)
  }

  async ask(command: string, code: number): Promise<void> {
    const reply = await this.send(command)
    if (reply.code !== code)
      throw new HookFailure('nonsense', `it answered ${reply.code} instead of ${code} to ${command.split(' ', 1)[0]}`)
  }

  /** The certificate is not verified, as in opportunistic delivery to the same host: only the recipient's address is sent. */
  secure(host: string): Promise<void> {
    const plain = this.#socket
    plain.removeAllListeners()
    plain.on('error', () => {})
    if (this.#text !== '') return Promise.reject(new HookFailure('nonsense', 'it sent data before the TLS handshake'))
    return new Promise((resolve, reject) => {
      const secured = connectTls({
        socket: plain,
        rejectUnauthorized: false,
        ...(isIP(host) ? {} : { servername: host }),
      })
      this.#socket = secured
      this.#waiting = { resolve: () => {}, reject }
      secured.once('secureConnect', () => {
        this.#waiting = undefined
        resolve()
      })
      this.#listen(secured)
    })
  }

  end(): void {
    this.#failure ??= new HookFailure('unreachable', 'the callout is over')
    if (this.#socket.destroyed) return
    this.#socket.end('QUIT\r\n')
    this.#socket.setTimeout(1000, () => this.#socket.destroy())
    this.#socket.resume()
  }
}
