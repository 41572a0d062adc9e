import { parseMailAddress } from '@postern/contract/address.ts'
import { hostNameOf } from '@postern/contract/host-name.ts'
import { decideExpn, decideVrfy } from '@postern/policy/decide.ts'
import { type Command, type CommandSession, plainLine } from './command.ts'

/** The commands without parameters of their own: NOOP, RSET, QUIT, VRFY and EXPN. */

export const noop: Command = {
  verb: 'NOOP',
  syntax: 'NOOP',
  afterHello: false,
  argument: 'optional',
  longest: plainLine,
  run: (session) => session.reply('ok'),
}

export const rset: Command = {
  verb: 'RSET',
  syntax: 'RSET',
  afterHello: false,
  argument: 'none',
  longest: plainLine,
  run(session) {
    session.forget()
    session.reply('reset')
  },
}

export const quit: Command = {
  verb: 'QUIT',
  syntax: 'QUIT',
  afterHello: false,
  argument: 'none',
  longest: plainLine,
  run(session) {
    const { policy, machine } = session.receiver
    session.forget()
    session.reply('goodbye', { hostname: hostNameOf(policy.settings.general.hostname, machine) })
    session.quit()
  },
}

export const vrfy: Command = {
  verb: 'VRFY',
  syntax: 'VRFY address',
  afterHello: false,
  argument: 'required',
  longest: plainLine,
  run: (session, argument) => ask(session, argument, decideVrfy),
}

export const expn: Command = {
  verb: 'EXPN',
  syntax: 'EXPN group',
  afterHello: false,
  argument: 'required',
  longest: plainLine,
  run: (session, argument) => ask(session, argument, decideExpn),
}

function ask(session: CommandSession, argument: string, decide: typeof decideVrfy): void {
  // RFC 6531 §3.7.4.1 lets the client say that it would read UTF-8. Our replies are ASCII, so it changes nothing.
  const about = argument.replace(/ SMTPUTF8$/i, '').trim()
  const address = parseMailAddress(about.replace(/^<(.*)>$/, '$1'))
  const facts = { ...session.refresh(), argument: about, address }
  session.settle(decide(facts, session.receiver.policy), { recipient: about })
}
