import { findKill } from '../kill-file.ts'
import { type RuleCheck, refuse, senderAddress } from '../rule.ts'

/**
 * Refuses envelope senders in the Kill File, even for clients in the White List. The null sender has no address to
 * match.
 */
export const killFile: RuleCheck<'kill-file'> = ({ facts, sender }, { kill }) => {
  const address = senderAddress(sender)
  if (!address) return 'pass'
  const entry = findKill(kill, address, facts.now)
  if (entry === undefined) return 'pass'
  return refuse({ reply: 'killFile' }, `The sender ${address.text} matches the Kill File entry ${entry}.`)
}
