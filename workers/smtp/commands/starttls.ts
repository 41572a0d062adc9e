import { type Command, plainLine } from './command.ts'

/** RFC 3207. Everything that was said before the handshake is forgotten after it. */
export const starttls: Command = {
  verb: 'STARTTLS',
  syntax: 'STARTTLS',
  afterHello: false,
  argument: 'none',
  longest: plainLine,
  run(dialogue) {
    const { house, facts, transaction } = dialogue
    if (facts.tls) return dialogue.fault('tlsActive', { detail: 'STARTTLS within TLS' })
    if (!house.policy.settings.tls.starttls)
      return dialogue.fault('commandNotImplemented', { detail: 'STARTTLS is off', reason: 'command-disabled' })
    if (!house.tlsAvailable) return dialogue.reply('tlsUnavailable')
    if (transaction)
      return dialogue.fault('badSequence', { values: { detail: 'transaction open' }, detail: 'STARTTLS after MAIL' })
    dialogue.reply('startTls')
    dialogue.startTls()
  },
}
