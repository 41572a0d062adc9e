import { type Command, plainLine } from './command.ts'

/** RFC 3207 §4.2: what the client said before the handshake is forgotten after it. */
export const starttls: Command = {
  verb: 'STARTTLS',
  syntax: 'STARTTLS',
  afterHello: false,
  argument: 'none',
  longest: plainLine,
  run(session) {
    const { receiver, facts, transaction } = session
    if (facts.tls) return session.protocolError('tlsActive', { detail: 'STARTTLS within TLS' })
    if (!receiver.policy.settings.tls.starttls)
      return session.protocolError('commandNotImplemented', { detail: 'STARTTLS is off', reason: 'command-disabled' })
    if (!receiver.tlsAvailable) return session.reply('tlsUnavailable')
    if (transaction)
      return session.protocolError('badSequence', {
        values: { detail: 'transaction open' },
        detail: 'STARTTLS after MAIL',
      })
    session.reply('startTls')
    session.startTls()
  },
}
