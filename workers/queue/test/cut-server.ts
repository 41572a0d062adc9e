import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'

/** For tests: an SMTP or LMTP server that ends its first session after so many bytes, and remembers whom it answered. */

export type Cut = { after: 'sent' | 'received'; bytes: number; by: 'FIN' | 'RST' }
export type Dialogue = { lmtp?: boolean; extensions: string[] }

/** What a session asked and was told, by recipient. */
type CutSession = { asked: string[]; promised: string[]; sent: string; received: string }

export class CutServer {
  readonly sessions: CutSession[] = []
  readonly #dialogue: Dialogue
  readonly #cut: Cut | undefined
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(dialogue: Dialogue, cut?: Cut) {
    this.#dialogue = dialogue
    this.#cut = cut
    this.#server = createServer((socket) => this.#serve(socket))
  }

  static async start(dialogue: Dialogue, cut?: Cut): Promise<CutServer> {
    const server = new CutServer(dialogue, cut)
    server.#server.listen(0, '127.0.0.1')
    await once(server.#server, 'listening')
    return server
  }

  get route() {
    const { port } = this.#server.address() as AddressInfo
    const at = { host: '127.0.0.1', port }
    return this.#dialogue.lmtp ? { type: 'lmtp', ...at } : { type: 'smtp', ...at, tls: 'none' }
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('close', () => this.#sockets.delete(socket))
    socket.on('error', () => {})
    const session: CutSession = { asked: [], promised: [], sent: '', received: '' }
    const cut = this.sessions.push(session) === 1 ? this.#cut : undefined
    const talk = new ServerConnection({ socket, session, cut }, this.#dialogue)
    talk.begin()
    socket.on('data', (bytes) => talk.take(bytes.toString('latin1')))
  }
}

class ServerConnection {
  readonly #of: { socket: Socket; session: CutSession; cut: Cut | undefined }
  readonly #dialogue: Dialogue
  #rest = ''
  #inData = false
  #recipients: string[] = []
  #isCut = false

  constructor(of: { socket: Socket; session: CutSession; cut: Cut | undefined }, dialogue: Dialogue) {
    this.#of = of
    this.#dialogue = dialogue
  }

  begin(): void {
    if (this.#of.cut?.bytes === 0) this.#end('')
    else this.#say('220 a.test ESMTP')
  }

  take(text: string): void {
    const { session, cut } = this.#of
    if (this.#isCut) return
    const left = cut?.after === 'received' ? cut.bytes - session.received.length : Number.POSITIVE_INFINITY
    const taken = text.slice(0, left)
    session.received += taken
    this.#rest += taken
    const isLast = text.length >= left
    while (!this.#isCut && this.#step(isLast));
    if (isLast && !this.#isCut) this.#end('')
  }

  /** Answers one command or body. What the last byte completes has no answer any more. */
  #step(isLast: boolean): boolean {
    const end = this.#inData ? '\r\n.\r\n' : '\r\n'
    const at = this.#rest.indexOf(end)
    if (at < 0 || (isLast && at + end.length === this.#rest.length)) return false
    const text = this.#rest.slice(0, at)
    this.#rest = this.#rest.slice(at + end.length)
    if (this.#inData) this.#bodyEnds()
    else this.#command(text)
    return true
  }

  #command(line: string): void {
    const to = /^RCPT TO:<(.*?)>/.exec(line)?.[1]
    if (to) {
      this.#recipients.push(to)
      this.#of.session.asked.push(to)
    }
    if (/^[EL]HLO/.test(line)) {
      const lines = ['a.test', ...this.#dialogue.extensions]
      this.#say(lines.map((word, i) => `250${i < lines.length - 1 ? '-' : ' '}${word}`).join('\r\n'))
    } else if (line === 'DATA') {
      this.#inData = true
      this.#say('354 go on')
    } else if (line === 'QUIT') this.#say('221 bye')
    else this.#say('250 2.0.0 ok')
  }

  #bodyEnds(): void {
    this.#inData = false
    const recipients = this.#recipients.splice(0)
    const { session } = this.#of
    if (!this.#dialogue.lmtp) {
      if (this.#say('250 2.0.0 taken')) session.promised.push(...recipients)
      return
    }
    for (const to of recipients) if (this.#say('250 2.1.5 kept')) session.promised.push(to)
  }

  /** Whether the whole reply went. */
  #say(text: string): boolean {
    if (this.#isCut) return false
    const { socket, session, cut } = this.#of
    const reply = `${text}\r\n`
    const left = cut?.after === 'sent' ? cut.bytes - session.sent.length : Number.POSITIVE_INFINITY
    session.sent += reply.slice(0, left)
    if (reply.length < left) socket.write(reply)
    else this.#end(reply.slice(0, left))
    return reply.length <= left
  }

  #end(words: string): void {
    const { socket, cut } = this.#of
    this.#isCut = true
    if (cut?.by !== 'RST') socket.end(words)
    else if (words) socket.write(words, () => socket.resetAndDestroy())
    else socket.resetAndDestroy()
  }
}
