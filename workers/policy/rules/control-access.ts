import { findBlock } from '../address-blocks.ts'
import { type RuleCheck, refuse } from '../rule.ts'

/**
 * Decides which clients may connect. The most specific entry wins. An entry without an action means the opposite of the
 * default.
 */
export const controlAccess: RuleCheck<'control-access'> = ({ ip, now }, { controlAccess: entries, settings }) => {
  const { defaultAccess } = settings.security
  const entry = findBlock(entries, ip, now)
  if (!entry) {
    if (defaultAccess === 'granted') return 'pass'
    return refuse(
      { ...denied, values: { ip } },
      `${ip} has no entry in Control Access, and security.defaultAccess is denied.`,
    )
  }
  const action = entry.action ?? (defaultAccess === 'granted' ? 'deny' : 'grant')
  if (action === 'grant') return 'pass'
  return refuse(
    { ...denied, values: { ip } },
    `${ip} matches the Control Access entry ${entry.value}, which ${entry.action ? 'denies' : 'denies access because security.defaultAccess is granted'}.`,
  )
}

const denied = { reply: 'accessDenied', close: true } as const
