import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server'
import type { Certificate } from './certificate.ts'

export type TakenMail = {
  from: string
  to: string[]
  /** Whether MAIL said REQUIRETLS. */
  requireTls: boolean
  secure: boolean
  content: string
}

export type SmtpServerPeer = {
  port: number
  taken: TakenMail[]
  stop(): Promise<void>
}

/** nodemailer's smtp-server: it can offer REQUIRETLS (under STARTTLS, as RFC 8689 §2 has it), and ask for a login. */
export async function startSmtpServer(at: {
  host: string
  port: number
  certificate: Certificate
  requireTls?: boolean
  /** Who may send. Default: anyone. The refusal of a wrong password repeats it, as some servers do. */
  login?: { user: string; secret: string; methods: string[] }
}): Promise<SmtpServerPeer> {
  const taken: TakenMail[] = []
  const take = async (stream: SMTPServerDataStream, { secure, envelope }: SMTPServerSession) => {
    const parts: Buffer[] = []
    for await (const part of stream) parts.push(part as Buffer)
    const { mailFrom, rcptTo, requireTLS = false } = envelope
    const from = mailFrom ? mailFrom.address : ''
    const to = rcptTo.map(({ address }) => address)
    taken.push({ from, to, requireTls: requireTLS, secure, content: Buffer.concat(parts).toString('latin1') })
  }
  const server = new SMTPServer({
    ...at.certificate,
    hideREQUIRETLS: at.requireTls !== true,
    authOptional: at.login === undefined,
    ...(at.login ? { authMethods: at.login.methods } : { disabledCommands: ['AUTH'] }),
    onAuth: ({ username, password }, _session, done) => {
      const known = username === at.login?.user && password === at.login?.secret
      const encoded = Buffer.from(password ?? '').toString('base64')
      done(known ? null : new Error(`not known: ${username} with ${password}, ${encoded}`), { user: username })
    },
    disableReverseLookup: true,
    logger: false,
    onData: (stream, session, done) => void take(stream, session).then(() => done(), done),
  })
  server.on('error', () => {})
  await once(server.listen(at.port, at.host), 'listening')
  const { port } = server.server.address() as AddressInfo
  return { taken, port, stop: () => new Promise((resolve) => server.close(() => resolve())) }
}
