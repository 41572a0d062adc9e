import { type AddressInfo, createServer, type Socket } from 'node:net'

/** One received message: envelope, and content without dot-stuffing, as latin1. */
export type TakenMessage = {
  sender: string
  recipients: string[]
  content: string
  /** `performance.now()` when the end of data was seen. */
  at: number
}

export type WireSink = {
  readonly host: string
  readonly port: number
  /** How many messages were received. */
  readonly count: number
  stop(): Promise<void>
}

export type WireSinkOptions = {
  host?: string
  /** Default: a free port. */
  port?: number
  /** Called before the 250 of each message: what it keeps is kept when the sender thinks it is. */
  take: (message: TakenMessage) => void
}

const dataEnd = Buffer.from('\r\n.\r\n')

/**
 * A small SMTP server that accepts everything and passes each complete message to the test. It keeps its state only in
 * memory, so it loses nothing as long as the test runs. It offers PIPELINING, 8BITMIME, SMTPUTF8 and SIZE.
 */
export async function startWireSink({ host = '127.0.0.1', port = 0, take }: WireSinkOptions): Promise<WireSink> {
  const open = new Set<Socket>()
  let count = 0
  const server = createServer({ noDelay: true }, (socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket)).on('error', () => socket.destroy())
    serve(socket, (message) => {
      take(message)
      count += 1
    })
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, 1024, resolve))
  return {
    host,
    port: (server.address() as AddressInfo).port,
    get count() {
      return count
    },
    stop: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}

function serve(socket: Socket, take: (message: TakenMessage) => void): void {
  let unread: Buffer = Buffer.alloc(0)
  /** Everything of a message so far; searched only where it is new. */
  let inData = false
  let searched = 0
  let sender = ''
  let recipients: string[] = []
  socket.write('220 sink.test ESMTP\r\n')
  socket.on('data', (chunk) => {
    unread = unread.length > 0 ? Buffer.concat([unread, chunk]) : chunk
    let replies = ''
    for (;;) {
      if (inData) {
        const end = unread.indexOf(dataEnd, Math.max(0, searched - dataEnd.length))
        searched = unread.length
        if (end < 0) break
        const content = unread.toString('latin1', 2, end + 2).replace(/^\.\./gm, '.')
        unread = unread.subarray(end + dataEnd.length)
        take({ sender, recipients, content, at: performance.now() })
        inData = false
        replies += '250 2.0.0 taken\r\n'
        continue
      }
      const end = unread.indexOf('\r\n')
      if (end < 0) break
      const line = unread.toString('latin1', 0, end)
      const verb = line.slice(0, 4).toUpperCase()
      if (verb === 'MAIL') {
        sender = addressIn(line)
        recipients = []
      } else if (verb === 'RCPT') recipients.push(addressIn(line))
      else if (verb === 'DATA') {
        inData = true
        searched = 0
      }
      // Keep the CRLF after DATA, so that an empty message ends like the others.
      unread = unread.subarray(inData ? end : end + 2)
      replies += replyTo(verb)
      if (verb === 'QUIT') socket.end(replies)
    }
    if (replies && socket.writable) socket.write(replies)
  })
}

function addressIn(line: string): string {
  return /<([^>]*)>/.exec(line)?.[1] ?? ''
}

function replyTo(verb: string): string {
  switch (verb) {
    case 'EHLO':
      return '250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE\r\n'
    case 'HELO':
      return '250 sink.test\r\n'
    case 'DATA':
      return '354 go on\r\n'
    case 'QUIT':
      return '221 2.0.0 bye\r\n'
    default:
      return '250 2.0.0 ok\r\n'
  }
}
