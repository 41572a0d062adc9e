import { decideHello } from '@postern/policy/decide.ts'
import { offered } from '../capabilities.ts'
import { type Dialogue, hostName } from '../dialogue.ts'
import { wireHello } from '../wire.ts'
import { type Command, plainLine } from './command.ts'

export const ehlo: Command = {
  verb: 'EHLO',
  syntax: 'EHLO host',
  afterHello: false,
  argument: 'optional',
  longest: plainLine,
  run: (dialogue, argument) => greet(dialogue, 'EHLO', argument),
}

export const helo: Command = {
  verb: 'HELO',
  syntax: 'HELO host',
  afterHello: false,
  argument: 'optional',
  longest: plainLine,
  run: (dialogue, argument) => greet(dialogue, 'HELO', argument),
}

/** RFC 5321 §4.1.4: it also ends a transaction, as RSET does. */
function greet(dialogue: Dialogue, verb: 'HELO' | 'EHLO', argument: string): void {
  const { house, facts } = dialogue
  const verdict = decideHello({ ...dialogue.refresh(), verb, argument }, house.policy)
  if (!dialogue.settle(verdict)) return
  dialogue.forget()
  facts.helo = argument.slice(0, 255)
  dialogue.extended = verb === 'EHLO'
  const values = { hostname: hostName(house.policy, house.machine), client: argument }
  dialogue.write(wireHello(values, verb === 'EHLO' ? offered(facts, house.policy) : []))
}
