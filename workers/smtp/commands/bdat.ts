import type { SessionContext } from '../session/context.ts'
import { longestLine } from '../session/line-reader.ts'
import type { Command } from './command.ts'

/**
 * RFC 3030 §2. What follows a BDAT line is octets and not commands, whatever the answer: so everything that is wrong with
 * it is found here and not before, and is answered when the octets are gone. A line whose count cannot be read ends the
 * connection, because nobody knows where the next command begins.
 */
export const bdat: Command = {
  verb: 'BDAT',
  syntax: 'BDAT octets [LAST]',
  afterHello: false,
  argument: 'optional',
  longest: longestLine,
  run(session, argument) {
    const [, digits, last] = /^(\d{1,20})( LAST)?$/i.exec(argument) ?? []
    const octets = Number(digits)
    if (!Number.isSafeInteger(octets)) {
      session.fault('argumentError', {
        values: { detail: 'expected BDAT octets [LAST]' },
        detail: 'BDAT without a count',
      })
      return session.leave()
    }
    session.readChunk({ octets, last: last !== undefined }, wrong(session))
  },
}

/** How the chunk is answered when it is not one of a message. */
function wrong(session: SessionContext): (() => void) | undefined {
  const { facts, transaction } = session
  if (facts.helo === undefined)
    return () => session.fault('helloRequired', { reason: 'bad-sequence', detail: 'BDAT before HELO' })
  if (!transaction)
    return () => session.fault('badSequence', { values: { detail: 'MAIL first' }, detail: 'BDAT before MAIL' })
  if (transaction.rcptAccepted === 0) return () => session.reply('noValidRecipients')
  return undefined
}
