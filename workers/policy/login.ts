import { type MailAddress, parseMailAddress } from '@postern/contract/address.ts'
import type { Account } from '@postern/contract/directory.ts'
import type { SessionFacts } from '@postern/contract/facts.ts'
import type { Settings } from '@postern/contract/settings.ts'
import { findBlock } from './address-blocks.ts'
import { findEntry, foldLogin, keyOfText, withoutBox } from './directory.ts'
import type { Policy } from './policy.ts'

/** Identifies clients: the account of a login, the addresses it may send from, and whether the client is local. */

export type AuthMechanism = Settings['advanced']['authMechanisms'][number]

/** Mechanisms that carry a token (RFC 7628) instead of a password. They always need TLS, and a configured issuer. */
const withToken: ReadonlySet<string> = new Set<AuthMechanism>(['XOAUTH2', 'OAUTHBEARER'])
const spoken: ReadonlySet<string> = new Set<AuthMechanism>(['PLAIN', 'LOGIN', 'XOAUTH2', 'OAUTHBEARER'])

export function carriesToken(mechanism: string): boolean {
  return withToken.has(mechanism.toUpperCase())
}

/** Returns the mechanisms that the settings allow, in the order of the settings. TLS may restrict them further. */
export function authMechanisms(policy: Policy): AuthMechanism[] {
  return policy.settings.advanced.authMechanisms.filter((name) => isSpoken(name, policy))
}

/** Returns whether the server supports the mechanism now, allowed or not. */
export function isSpoken(mechanism: string, { settings }: Policy): boolean {
  return spoken.has(mechanism.toUpperCase()) && !(carriesToken(mechanism) && settings.advanced.oauth === 'off')
}

/**
 * Returns whether the mechanism may be used in this session. A password needs TLS unless `advanced.allowPlainWithoutTls`
 * is on. A token always needs TLS.
 */
export function mayShowSecret(mechanism: string, { tls }: Pick<SessionFacts, 'tls'>, { settings }: Policy): boolean {
  return tls !== undefined || (settings.advanced.allowPlainWithoutTls && !carriesToken(mechanism))
}

/**
 * Returns the enabled account for a login. The login is the account's `login` field or, if that is empty, its address:
 * also with host delimiters in place of `@`, with a box, or under an alias of the domain.
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

/** Returns whether a name belongs to this account: its login, or its address under any name of its domain. */
export function isNameOf(policy: Policy, account: Account, name: string): boolean {
  return (findAccount(policy, name) ?? findByAddress(policy, name)) === account
}

/**
 * Returns the account that a client claims with this mechanism. A password comes with a login; a token, whose issuer
 * knows addresses, comes with an address or a login.
 */
export function findClaimed(policy: Policy, mechanism: string, login: string): Account | null {
  return (carriesToken(mechanism) ? findByAddress(policy, login) : null) ?? findAccount(policy, login)
}

/** Returns the enabled account with exactly this address, under any name of its domain. */
function findByAddress(policy: Policy, text: string): Account | null {
  const address = parseMailAddress(text)
  return address && enabledAt(policy, address.text)
}

function enabledAt({ directory }: Policy, address: string): Account | null {
  const account = directory.accounts.get(keyOfText(directory, address))
  return account && !account.disabled ? account : null
}

/**
 * Returns whether the account with this canonical address still exists and is enabled. If not, the session is no longer
 * logged in.
 */
export function isLoginInForce(policy: Policy, login: string): boolean {
  return enabledAt(policy, login) !== null
}

function splitPoint(login: string, hostDelimiters: string): number {
  const at = login.lastIndexOf('@')
  if (at >= 0) return at
  for (let i = login.length - 1; i > 0; i--) if (hostDelimiters.includes(login[i] as string)) return i
  return -1
}

/**
 * Returns whether the address is an enabled account or an alias. Groups and addresses matched by a catch-all do not
 * count.
 */
export function isLocalUser({ directory, settings }: Policy, { local, domain }: MailAddress): boolean {
  const own = directory.domains.get(domain)?.name
  if (own === undefined) return false
  const entry = findEntry(directory, { local, domain: own }, settings.advanced.mailboxDelimiter)
  return entry?.kind === 'alias' || (entry?.kind === 'account' && !entry.account.disabled)
}

/** Returns whether the sender is the login's own address (any box, any name of the domain) or an alias that leads to it. */
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

/** Returns whether EXPN shows group members to this client. */
export function mayExpand(policy: Policy, facts: Pick<SessionFacts, 'login' | 'ip' | 'now'>): boolean {
  const { disableExpn, allowRemoteViewOfGroups } = policy.settings.security
  return !disableExpn && (allowRemoteViewOfGroups || isOurs(policy, facts))
}

/** Returns whether the client is logged in or in the relay list, independent of the relay mode. */
export function isOurs({ relay }: Policy, { login, ip, now }: Pick<SessionFacts, 'login' | 'ip' | 'now'>): boolean {
  return login !== undefined || findBlock(relay, ip, now) !== undefined
}
