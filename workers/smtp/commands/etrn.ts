import { canonicalDomain } from '@postern/contract/address.ts'
import { isOurs } from '@postern/policy/login.ts'
import type { SessionContext } from '../session/context.ts'
import { type Command, plainLine } from './command.ts'

/** RFC 1985: what waits for a domain is tried now, over new connections as ever. Its `@` and `#` forms name no domain. */
export const etrn: Command = {
  verb: 'ETRN',
  syntax: 'ETRN domain',
  afterHello: true,
  argument: 'required',
  longest: plainLine,
  run(session, argument) {
    if (session.transaction)
      return session.fault('badSequence', { values: { detail: 'transaction open' }, detail: 'ETRN after MAIL' })
    const domain = canonicalDomain(argument)
    if (domain === null)
      return session.fault('argumentError', { values: { detail: 'expected ETRN domain' }, detail: argument })
    const { policy } = session.receiver
    if (isOurs(policy, session.refresh())) return start(session, domain)
    return session.fault('etrnRefused', { values: { domain }, reason: 'auth-required', detail: `ETRN ${domain}` })
  },
}

function start(session: SessionContext, domain: string): void {
  const { receiver, facts } = session
  session.wait(
    receiver.queueRuns.ask(domain, facts.login ?? facts.ip).then(
      () => session.reply('etrnStarted', { domain }),
      () => session.reply('etrnUnable', { domain }),
    ),
  )
}
