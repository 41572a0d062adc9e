import type { MailAddress } from '@postern/contract/address.ts'
import type { Account } from '@postern/contract/directory.ts'
import type { SessionFacts } from '@postern/contract/facts.ts'
import { findBlock } from './address-blocks.ts'
import { findEntry, foldLogin, keyOfText, withoutBox } from './directory.ts'
import type { Policy } from './policy.ts'

/** Who a client is to us: which account a login means, which addresses it may write under, whether it is one of ours. */

/** Mechanisms this server speaks. XOAUTH2 and OAUTHBEARER are described and stored, and not spoken yet. */
const spoken = ['PLAIN', 'LOGIN'] as const
export type AuthMechanism = (typeof spoken)[number]

/** Of these mechanisms any may be used, as far as TLS allows; in the order of the settings. */
export function authMechanisms({ settings }: Policy): AuthMechanism[] {
  return settings.advanced.authMechanisms.filter((name): name is AuthMechanism =>
    (spoken as readonly string[]).includes(name),
  )
}

/** Whether this server can speak it, allowed or not. */
export function isSpoken(mechanism: string): boolean {
  return (spoken as readonly string[]).includes(mechanism.toUpperCase())
}

/**
 * The enabled account that a user means by `login`: what stands in its `login` field or, where that is empty, its address;
 * with host delimiters in place of `@`, with a box, or under an alias of the domain.
 */
export function findAccount(policy: Policy, login: string): Account | null {
  const { directory, settings } = policy
  const { hostDelimiters, mailboxDelimiter } = settings.advanced
  const folded = foldLogin(login)
  const exact = directory.logins.get(folded)
  if (exact) return exact
  const at = splitPoint(folded, hostDelimiters)
  if (at < 1) return null
  const name = folded.slice(at + 1)
  const domain = directory.domains.get(name)?.name ?? name
  const local = folded.slice(0, at)
  return (
    directory.logins.get(`${local}@${domain}`) ??
    directory.logins.get(`${withoutBox(local, mailboxDelimiter)}@${domain}`) ??
    null
  )
}

function splitPoint(login: string, hostDelimiters: string): number {
  const at = login.lastIndexOf('@')
  if (at >= 0) return at
  for (let i = login.length - 1; i > 0; i--) if (hostDelimiters.includes(login[i] as string)) return i
  return -1
}

/** An account that is enabled, or an alias: not a group, not whatever a catch-all takes. */
export function isLocalUser({ directory, settings }: Policy, { local, domain }: MailAddress): boolean {
  const own = directory.domains.get(domain)?.name
  if (own === undefined) return false
  const entry = findEntry(directory, { local, domain: own }, settings.advanced.mailboxDelimiter)
  return entry?.kind === 'alias' || (entry?.kind === 'account' && !entry.account.disabled)
}

/** Whether the sender is the login's own address (any box, any name of the domain) or an alias that leads to it. */
export function mayWriteAs({ directory, settings }: Policy, login: string, sender: MailAddress): boolean {
  const { mailboxDelimiter } = settings.advanced
  const own = keyOfText(directory, login.toLowerCase())
  const waiting = [sender.text]
  const seen = new Set<string>()
  for (let address = waiting.pop(); address !== undefined && seen.size < 1000; address = waiting.pop()) {
    const key = keyOfText(directory, address)
    if (key === own) return true
    if (seen.has(key)) continue
    seen.add(key)
    const at = key.lastIndexOf('@')
    const entry = findEntry(directory, { local: key.slice(0, at), domain: key.slice(at + 1) }, mailboxDelimiter)
    if (entry?.key === own) return true
    if (entry?.kind === 'alias') waiting.push(...entry.alias.to)
  }
  return false
}

/** Logged in, or in the relay list whatever the relay mode. */
export function isOurs({ relay }: Policy, { login, ip, now }: Pick<SessionFacts, 'login' | 'ip' | 'now'>): boolean {
  return login !== undefined || findBlock(relay, ip, now) !== undefined
}
