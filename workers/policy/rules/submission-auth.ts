import { findBlock } from '../address-blocks.ts'
import { type RuleCheck, refuse } from '../rule.ts'

/**
 * Requires login on the submission ports, which are for local users (RFC 6409 §4.3, RFC 8314 §3.3). A client that may
 * relay by its address already is one, so printers and scripts need no login.
 */
export const submissionAuth: RuleCheck<'submission-auth'> = ({ facts }, { settings, relay }) => {
  if (facts.listener === 'smtp' || facts.login !== undefined) return 'pass'
  const { relayMode } = settings.general
  if (relayMode === 'addresses' && findBlock(relay, facts.ip, facts.now)) return 'pass'
  const why =
    relayMode === 'addresses'
      ? 'is not in the relay list'
      : `may not relay by address (general.relayMode is ${relayMode})`
  return refuse(
    { reply: 'authRequired' },
    `Listener ${facts.listener} is for submission; ${facts.ip} has not logged in and ${why}.`,
  )
}
