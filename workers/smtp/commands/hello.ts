import type { HelloFacts } from '@postern/contract/facts.ts'
import type { Verdict } from '@postern/contract/verdict.ts'
import { decideHello } from '@postern/policy/decide.ts'
import { askWhatIsMissing } from '../lookups/ask.ts'
import { markHello } from '../lookups/mark.ts'
import { hostName, type SessionContext } from '../session/context.ts'
import { wireHello } from '../session/reply-text.ts'
import { type Command, plainLine } from './command.ts'
import { offered } from './extensions.ts'

export const ehlo: Command = {
  verb: 'EHLO',
  syntax: 'EHLO host',
  afterHello: false,
  argument: 'optional',
  longest: plainLine,
  run: (session, argument) => greet(session, 'EHLO', argument),
}

export const helo: Command = {
  verb: 'HELO',
  syntax: 'HELO host',
  afterHello: false,
  argument: 'optional',
  longest: plainLine,
  run: (session, argument) => greet(session, 'HELO', argument),
}

/** RFC 5321 §4.1.4: it also ends a transaction, as RSET does. */
function greet(session: SessionContext, verb: 'HELO' | 'EHLO', argument: string): void {
  const { receiver, facts } = session
  const { policy, lookupClients } = receiver
  // What was heard of another name says nothing about this one.
  if (facts.lookups?.helo !== undefined) facts.lookups = { ...facts.lookups, helo: undefined }
  const asked: HelloFacts = { ...session.refresh(), verb, argument }
  const verdict = decideHello(asked, policy)
  const missing = askWhatIsMissing('hello', asked, { verdict, lookupClients, policy })
  if (!missing) settled(session, asked, verdict)
  else
    session.wait(
      missing.then((lookups) => {
        facts.lookups = lookups
        const known = { ...asked, lookups }
        settled(session, known, decideHello(known, policy))
      }),
    )
}

function settled(session: SessionContext, asked: HelloFacts, verdict: Verdict): void {
  const { receiver, facts } = session
  const { verb, argument } = session.recorder.hello(asked)
  if (!session.settle(verdict)) return
  session.forget()
  session.mark(verdict)
  facts.helo = argument.slice(0, 255)
  session.extended = verb === 'EHLO'
  const values = { hostname: hostName(receiver.policy, receiver.machine), client: argument }
  session.write(wireHello(values, verb === 'EHLO' ? offered(facts, receiver.policy) : []))
  markHello(session, verb, argument)
}
