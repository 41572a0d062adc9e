import type { RcptFacts } from '@postern/contract/facts.ts'
import { findAccept } from '../accept-list.ts'
import { findBlock } from '../address-blocks.ts'
import { isLocalUser } from '../login.ts'
import { readAddress } from '../path.ts'
import type { Policy } from '../policy.ts'
import { type RuleCheck, refuse } from '../rule.ts'

/** Decides who may relay to domains that are not local. A logged-in client always may. */
export const relay: RuleCheck<'relay'> = ({ facts, target }, policy) => {
  if (target.kind !== 'remote' || facts.login !== undefined) return 'pass'
  const { relayMode } = policy.settings.general
  const missing = whatIsMissing(facts, policy)
  if (missing === null) return 'pass'
  const recipient = target.address.text
  return refuse(
    { reply: 'relayDenied', values: { recipient } },
    `${target.address.domain} is not a local domain, the client has not logged in, and general.relayMode is ${relayMode}: ${missing}.`,
  )
}

/** Returns what the client lacks; `null` if the mode lets the client relay. */
function whatIsMissing(facts: RcptFacts, policy: Policy): string | null {
  switch (policy.settings.general.relayMode) {
    case 'anyone':
      return null
    case 'none':
      return 'nobody may relay without a login'
    case 'addresses':
      return findBlock(policy.relay, facts.ip, facts.now) ? null : `${facts.ip} is not in the relay list`
    case 'localUsers':
    case 'localHosts':
      return senderIsLocal(facts, policy)
  }
}

function senderIsLocal(facts: RcptFacts, policy: Policy): string | null {
  const { sender: parsed, senderText } = facts
  const sender = parsed === null || parsed === 'null-sender' ? null : readAddress(senderText, parsed, policy)
  if (findAccept(policy.accept, facts, sender)) return null
  if (!sender) return 'the null sender is not a local user'
  if (policy.settings.general.relayMode === 'localUsers')
    return isLocalUser(policy, sender)
      ? null
      : `the sender ${sender.text} is neither a local user nor in the accept list`
  if (policy.directory.domains.has(sender.domain)) return null
  return `the domain of the sender ${sender.text} is neither local nor in the accept list`
}
