import { type Command, plainLine } from './command.ts'

/** RFC 5321 §4.1.1.4. The body scanner reads what follows it. */
export const data: Command = {
  verb: 'DATA',
  syntax: 'DATA',
  afterHello: true,
  argument: 'none',
  longest: plainLine,
  run(session) {
    const { transaction } = session
    if (!transaction)
      return session.protocolError('badSequence', { values: { detail: 'MAIL first' }, detail: 'DATA before MAIL' })
    if (transaction.chunked) {
      // RFC 3030 §3 does not say what state this leaves; half a message must never be taken for a whole one.
      session.forget()
      return session.protocolError('badSequence', { values: { detail: 'BDAT was used' }, detail: 'DATA after BDAT' })
    }
    // RFC 2920 §3.1: with every recipient refused a pipelined DATA must fail.
    if (transaction.rcptAccepted === 0) return session.reply('noValidRecipients')
    session.reply('startMail')
    session.readBody()
  },
}
