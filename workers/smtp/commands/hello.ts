import type { HelloFacts } from '@postern/contract/facts.ts'
import { hostNameOf } from '@postern/contract/host-name.ts'
import { wireHello } from '@postern/contract/reply-text.ts'
import type { Verdict } from '@postern/contract/verdict.ts'
import { type Command, type CommandSession, plainLine } from './command.ts'
import { offered } from './extensions.ts'

export const ehlo: Command = {
  verb: 'EHLO',
  syntax: 'EHLO host',
  afterHello: false,
  argument: 'optional',
  longest: plainLine,
  run: (session, argument) => hello(session, 'EHLO', argument),
}

export const helo: Command = {
  verb: 'HELO',
  syntax: 'HELO host',
  afterHello: false,
  argument: 'optional',
  longest: plainLine,
  run: (session, argument) => hello(session, 'HELO', argument),
}

function hello(session: CommandSession, verb: 'HELO' | 'EHLO', argument: string): void {
  const { receiver, facts } = session
  // What was looked up about another name says nothing about this one.
  if (facts.lookups?.helo !== undefined) facts.lookups = { ...facts.lookups, helo: undefined }
  const asked: HelloFacts = { ...session.refresh(), verb, argument }
  session.decide('hello', asked, {
    under: receiver,
    again(lookups) {
      facts.lookups = lookups
      return { ...asked, lookups }
    },
    proceed: (known, verdict) => greeted(session, known, verdict),
  })
}

/** RFC 5321 §4.1.4: it also ends a transaction, as RSET does. */
function greeted(session: CommandSession, { verb, argument }: HelloFacts, verdict: Verdict): void {
  const { receiver, facts } = session
  const { policy, machine } = receiver
  session.forget()
  session.noteRules(verdict)
  facts.helo = argument.slice(0, 255)
  session.extended = verb === 'EHLO'
  const values = { hostname: hostNameOf(policy.settings.general.hostname, machine), client: argument }
  session.write(wireHello(values, verb === 'EHLO' ? offered(facts, policy) : []))
}
