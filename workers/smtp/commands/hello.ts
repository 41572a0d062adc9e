import type { HelloFacts } from '@postern/contract/facts.ts'
import type { Verdict } from '@postern/contract/verdict.ts'
import { decideHello } from '@postern/policy/decide.ts'
import { offered } from './capabilities.ts'
import { type Dialogue, hostName } from '../session/context.ts'
import { askWhatIsMissing } from '../lookups/ask.ts'
import { markHello } from '../lookups/mark.ts'
import { wireHello } from '../session/reply-text.ts'
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
  const { policy, desk } = house
  // What was heard of another name says nothing about this one.
  if (facts.lookups?.helo !== undefined) facts.lookups = { ...facts.lookups, helo: undefined }
  const asked: HelloFacts = { ...dialogue.refresh(), verb, argument }
  const verdict = decideHello(asked, policy)
  const missing = askWhatIsMissing('hello', asked, { verdict, desk, policy })
  if (!missing) settled(dialogue, asked, verdict)
  else
    dialogue.wait(
      missing.then((lookups) => {
        facts.lookups = lookups
        const known = { ...asked, lookups }
        settled(dialogue, known, decideHello(known, policy))
      }),
    )
}

function settled(dialogue: Dialogue, asked: HelloFacts, verdict: Verdict): void {
  const { house, facts } = dialogue
  const { verb, argument } = dialogue.witness.hello(asked)
  if (!dialogue.settle(verdict)) return
  dialogue.forget()
  dialogue.mark(verdict)
  facts.helo = argument.slice(0, 255)
  dialogue.extended = verb === 'EHLO'
  const values = { hostname: hostName(house.policy, house.machine), client: argument }
  dialogue.write(wireHello(values, verb === 'EHLO' ? offered(facts, house.policy) : []))
  markHello(dialogue, verb, argument)
}
