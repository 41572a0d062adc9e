import { canonicalDomain } from '@postern/contract/address.ts'
import { isOurs } from '@postern/policy/login.ts'
import type { Dialogue } from '../session/context.ts'
import { type Command, plainLine } from './command.ts'

/** RFC 1985: what waits for a domain is tried now, over new connections as ever. Its `@` and `#` forms name no domain. */
export const etrn: Command = {
  verb: 'ETRN',
  syntax: 'ETRN domain',
  afterHello: true,
  argument: 'required',
  longest: plainLine,
  run(dialogue, argument) {
    if (dialogue.transaction)
      return dialogue.fault('badSequence', { values: { detail: 'transaction open' }, detail: 'ETRN after MAIL' })
    const domain = canonicalDomain(argument)
    if (domain === null)
      return dialogue.fault('argumentError', { values: { detail: 'expected ETRN domain' }, detail: argument })
    const { policy } = dialogue.house
    if (isOurs(policy, dialogue.refresh())) return start(dialogue, domain)
    return dialogue.fault('etrnRefused', { values: { domain }, reason: 'auth-required', detail: `ETRN ${domain}` })
  },
}

function start(dialogue: Dialogue, domain: string): void {
  const { house, facts } = dialogue
  dialogue.wait(
    house.queueRuns.ask(domain, facts.login ?? facts.ip).then(
      () => dialogue.reply('etrnStarted', { domain }),
      () => dialogue.reply('etrnUnable', { domain }),
    ),
  )
}
