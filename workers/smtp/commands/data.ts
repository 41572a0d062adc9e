import { type Command, plainLine } from './command.ts'

/** RFC 5321 §4.1.1.4. What comes after it is taken out of the wire by the body scanner. */
export const data: Command = {
  verb: 'DATA',
  syntax: 'DATA',
  afterHello: true,
  argument: 'none',
  longest: plainLine,
  run(session) {
    const { transaction } = session
    if (!transaction)
      return session.fault('badSequence', { values: { detail: 'MAIL first' }, detail: 'DATA before MAIL' })
    if (transaction.chunked) {
      // RFC 3030 §3: what state this leaves is not said; it must not be one in which half a message is taken for a whole.
      session.forget()
      return session.fault('badSequence', { values: { detail: 'BDAT was used' }, detail: 'DATA after BDAT' })
    }
    // RFC 2920 §3.1: with every recipient refused a pipelined DATA must fail.
    if (transaction.rcptAccepted === 0) return session.reply('noValidRecipients')
    session.reply('startMail')
    session.readBody()
  },
}
