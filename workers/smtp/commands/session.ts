import { parseMailAddress } from '@postern/contract/address.ts'
import { decideExpn, decideVrfy } from '@postern/policy/decide.ts'
import { type Dialogue, hostName } from '../dialogue.ts'
import { type Command, plainLine } from './command.ts'

/** The commands that begin and end nothing but themselves. */

export const noop: Command = {
  verb: 'NOOP',
  syntax: 'NOOP',
  afterHello: false,
  argument: 'optional',
  longest: plainLine,
  run: (dialogue) => dialogue.reply('ok'),
}

export const rset: Command = {
  verb: 'RSET',
  syntax: 'RSET',
  afterHello: false,
  argument: 'none',
  longest: plainLine,
  run(dialogue) {
    dialogue.forget()
    dialogue.reply('reset')
  },
}

export const quit: Command = {
  verb: 'QUIT',
  syntax: 'QUIT',
  afterHello: false,
  argument: 'none',
  longest: plainLine,
  run(dialogue) {
    const { policy, machine } = dialogue.house
    dialogue.forget()
    dialogue.reply('goodbye', { hostname: hostName(policy, machine) })
    dialogue.bye()
  },
}

export const vrfy: Command = {
  verb: 'VRFY',
  syntax: 'VRFY address',
  afterHello: false,
  argument: 'required',
  longest: plainLine,
  run: (dialogue, argument) => ask(dialogue, argument, decideVrfy),
}

export const expn: Command = {
  verb: 'EXPN',
  syntax: 'EXPN group',
  afterHello: false,
  argument: 'required',
  longest: plainLine,
  run: (dialogue, argument) => ask(dialogue, argument, decideExpn),
}

function ask(dialogue: Dialogue, argument: string, decide: typeof decideVrfy): void {
  const address = parseMailAddress(argument.trim().replace(/^<(.*)>$/, '$1'))
  dialogue.settle(decide({ ...dialogue.refresh(), argument, address }, dialogue.house.policy), { recipient: argument })
}
