import { findEntry } from '../directory.ts'
import { mayExpand } from '../login.ts'
import { answer, type RuleCheck, refuse } from '../rule.ts'

/**
 * RFC 5321 §3.5.2: lists the members of a group, one level deep. Always answers. A client that may not see groups does
 * not learn which ones exist.
 */
export const expn: RuleCheck<'expn'> = ({ facts, target }, policy) => {
  const { security, advanced } = policy.settings
  if (security.disableExpn) return refuse({ reply: 'expnDisabled' }, 'security.disableExpn is on.')
  if (!mayExpand(policy, facts))
    return refuse(
      { reply: 'expnRefused' },
      `${facts.ip} is neither in the relay list nor logged in, and security.allowRemoteViewOfGroups is off.`,
    )
  const entry = target.kind === 'local' ? findEntry(policy.directory, target, advanced.mailboxDelimiter) : null
  if (entry?.kind !== 'group') return refuse({ reply: 'expnUnknown' }, `"${facts.argument}" is not a group.`)
  const { members } = entry.group
  return answer(
    members.map((address) => ({ reply: 'expnMember', values: { address } })),
    `${entry.key} is a group with ${members.length} members.`,
  )
}
