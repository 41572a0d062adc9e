import { type Command, plainLine } from './command.ts'

/** RFC 5321 §4.1.1.4. What comes after it is taken out of the wire by the body scanner. */
export const data: Command = {
  verb: 'DATA',
  syntax: 'DATA',
  afterHello: true,
  argument: 'none',
  longest: plainLine,
  run(dialogue) {
    const { transaction } = dialogue
    if (!transaction)
      return dialogue.fault('badSequence', { values: { detail: 'MAIL first' }, detail: 'DATA before MAIL' })
    // RFC 2920 §3.1: with every recipient refused a pipelined DATA must fail.
    if (transaction.rcptAccepted === 0) return dialogue.reply('noValidRecipients')
    dialogue.reply('startMail')
    dialogue.readBody()
  },
}
