import { findBlock } from '../address-blocks.ts'
import { type RuleCheck, refuse } from '../rule.ts'

/**
 * RFC 6647: a client that retries after a while is a mail server. Clients that are logged in or in the relay list do
 * not wait.
 */
export const greylist: RuleCheck<'greylist'> = (
  { facts: { ip, now, login, lookups, senderText, recipientText } },
  { settings, relay },
) => {
  const { greylist: wanted } = settings.security
  if (wanted === 'off' || login !== undefined || findBlock(relay, ip, now)) return 'pass'
  const seen = lookups?.greylist
  if (seen === undefined || seen === 'not-known')
    return {
      missing: `The time of the first mail from ${ip} with sender <${senderText}> and recipient <${recipientText}> is not known.`,
    }
  const left = Math.ceil((seen.firstSeen + wanted.delaySeconds * 1000 - now) / 1000)
  if (seen.passed || left <= 0) return 'pass'
  const age = Math.max(0, Math.floor((now - seen.firstSeen) / 1000))
  return refuse(
    { reply: 'greylist', values: { seconds: left } },
    `The network of ${ip} first sent mail from <${senderText}> for <${recipientText}> ${age} s ago; security.greylist.delaySeconds is ${wanted.delaySeconds}.`,
  )
}
