import { type RuleCheck, refuse, senderAddress } from '../rule.ts'

/** Requires authentication from clients that send in the name of a local domain. */
export const authForLocalSenders: RuleCheck<'auth-for-local-senders'> = (
  { facts, sender },
  { settings, directory },
) => {
  if (!settings.security.requireAuthForLocalSenders || facts.login !== undefined) return 'pass'
  const address = senderAddress(sender)
  if (!address || !directory.domains.has(address.domain)) return 'pass'
  return refuse(
    { reply: 'authRequired' },
    `The sender ${address.text} is in a local domain, the client has not logged in, and security.requireAuthForLocalSenders is on.`,
  )
}
