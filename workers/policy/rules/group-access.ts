import { findEntry } from '../directory.ts'
import { isOurs } from '../login.ts'
import { type RuleCheck, refuse } from '../rule.ts'

/**
 * Closes groups to outside senders, if so configured. Never closes `postmaster`, which must be reachable from
 * everywhere (RFC 5321 §4.5.1).
 */
export const groupAccess: RuleCheck<'group-access'> = ({ facts, target }, policy) => {
  const { settings, directory } = policy
  if (settings.security.allowRemoteMailToGroups || target.kind !== 'local' || target.postmaster) return 'pass'
  const entry = findEntry(directory, target, settings.advanced.mailboxDelimiter)
  if (entry?.kind !== 'group' || isOurs(policy, facts)) return 'pass'
  return refuse(
    { reply: 'groupDenied' },
    `${entry.key} is a group, ${facts.ip} is neither in the relay list nor logged in, and security.allowRemoteMailToGroups is off.`,
  )
}
