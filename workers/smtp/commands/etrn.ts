import { canonicalDomain } from '@postern/contract/address.ts'
import { isOurs } from '@postern/policy/login.ts'
import { type Command, type CommandSession, plainLine } from './command.ts'

/** RFC 1985: the queue of a domain is tried now, over new connections as always. The `@` and `#` forms name no domain. */
export const etrn: Command = {
  verb: 'ETRN',
  syntax: 'ETRN domain',
  afterHello: true,
  argument: 'required',
  longest: plainLine,
  run(session, argument) {
    if (session.transaction)
      return session.protocolError('badSequence', { values: { detail: 'transaction open' }, detail: 'ETRN after MAIL' })
    const domain = canonicalDomain(argument)
    if (domain === null)
      return session.protocolError('argumentError', { values: { detail: 'expected ETRN domain' }, detail: argument })
    const { policy } = session.receiver
    if (isOurs(policy, session.refresh())) return start(session, domain)
    return session.protocolError('etrnRefused', {
      values: { domain },
      reason: 'auth-required',
      detail: `ETRN ${domain}`,
    })
  },
}

function start(session: CommandSession, domain: string): void {
  const { receiver, facts } = session
  session.wait(
    receiver.runQueue(domain, facts.login ?? facts.ip).then(
      () => session.reply('etrnStarted', { domain }),
      () => session.reply('etrnUnable', { domain }),
    ),
  )
}
