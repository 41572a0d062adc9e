import { type Command, type CommandSession, longestLine } from './command.ts'

/**
 * RFC 3030 §2. What follows a BDAT line is bytes and not commands, whatever the answer: so everything that is wrong with
 * it is found here and not before, and is answered when the bytes have come. A line whose count cannot be read ends the
 * connection, because nobody knows where the next command begins.
 */
export const bdat: Command = {
  verb: 'BDAT',
  syntax: 'BDAT size [LAST]',
  afterHello: false,
  argument: 'optional',
  longest: longestLine,
  run(session, argument) {
    const [, digits, last] = /^(\d{1,20})( LAST)?$/i.exec(argument) ?? []
    const bytes = Number(digits)
    if (!Number.isSafeInteger(bytes)) {
      session.protocolError('argumentError', {
        values: { detail: 'expected BDAT size [LAST]' },
        detail: 'BDAT without a size',
      })
      return session.leave()
    }
    session.readChunk({ bytes, last: last !== undefined }, refusalOf(session))
  },
}

/** The answer to a chunk that belongs to no message. */
function refusalOf(session: CommandSession): (() => void) | undefined {
  const { facts, transaction } = session
  if (facts.helo === undefined)
    return () => session.protocolError('helloRequired', { reason: 'bad-sequence', detail: 'BDAT before HELO' })
  if (!transaction)
    return () => session.protocolError('badSequence', { values: { detail: 'MAIL first' }, detail: 'BDAT before MAIL' })
  if (transaction.rcptAccepted === 0) return () => session.reply('noValidRecipients')
  return undefined
}
