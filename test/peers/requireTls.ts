import { once } from 'node:events'
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server'
import type { Certificate } from './certificate.ts'

export interface TakenMail {
  from: string
  to: string[]
  /** Whether MAIL said REQUIRETLS. */
  requireTls: boolean
  secure: boolean
  content: string
}

export interface RequireTlsPeer {
  taken: TakenMail[]
  stop(): Promise<void>
}

/** nodemailer's smtp-server, the one server at hand that offers REQUIRETLS (under STARTTLS, as RFC 8689 §2 has it). */
export async function startRequireTls(at: {
  host: string
  port: number
  certificate: Certificate
  /** Offers all but REQUIRETLS. */
  without?: boolean
}): Promise<RequireTlsPeer> {
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
    hideREQUIRETLS: at.without === true,
    authOptional: true,
    disabledCommands: ['AUTH'],
    disableReverseLookup: true,
    logger: false,
    onData: (stream, session, done) => void take(stream, session).then(() => done(), done),
  })
  server.on('error', () => {})
  await once(server.listen(at.port, at.host), 'listening')
  return { taken, stop: () => new Promise((resolve) => server.close(() => resolve())) }
}
