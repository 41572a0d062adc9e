import { findEntry } from '../directory.ts'
import { type CalloutHost, calloutHost, expandPostmaster } from '../expand.ts'
import { withoutRoute } from '../path.ts'
import type { Policy } from '../policy.ts'
import { type Questions, type RuleCheck, refuse } from '../rule.ts'

/**
 * Refuses recipients that the host behind the domain's route does not know. If the host gives no answer, the client is
 * asked to try again.
 */
export const callout: RuleCheck<'callout'> = (question, policy) => {
  const asked = calloutFor(question, policy)
  if (!asked) return 'pass'
  const { address, host } = asked
  const said = question.facts.lookups?.callout
  if (question.target.kind === 'local' && question.target.postmaster && said !== undefined && said !== 'exists') {
    // RFC 5321 §4.5.1: postmaster is never refused. The mail goes to this server's own postmaster.
    question.expansion = expandPostmaster(question.target.domain, withoutRoute(question.facts.recipientText), policy)
    return 'pass'
  }
  switch (said) {
    case 'exists':
      return 'pass'
    case 'unknown':
      return refuse(
        { reply: 'userUnknown', values: { recipient: question.facts.recipientText } },
        `${host.host}:${host.port} refuses ${address}; verifyRecipients of its domain is callout.`,
      )
    case 'not-known':
      return refuse(
        { reply: 'recipientNotVerified' },
        `${host.host}:${host.port} gave no answer about ${address}; verifyRecipients of its domain is callout.`,
      )
    case undefined:
      return { missing: `${host.host}:${host.port} was not asked about ${address}.` }
  }
}

/** Returns the host to ask before the rule can decide; `undefined` if the directory already has the answer. */
export function calloutFor(
  { target }: Pick<Questions['rcpt'], 'target'>,
  policy: Policy,
): { address: string; host: CalloutHost } | undefined {
  if (target.kind !== 'local') return undefined
  const host = calloutHost(policy.directory, target.domain)
  if (!host || policy.directory.domains.get(target.domain)?.catchAll !== '') return undefined
  if (findEntry(policy.directory, target, policy.settings.advanced.mailboxDelimiter)) return undefined
  return { address: `${target.local}@${target.domain}`, host }
}
