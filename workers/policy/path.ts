import { canonicalDomain, foldLocal, type MailAddress, parseMailAddress } from '@postern/contract/address.ts'
import type { SessionFacts } from '@postern/contract/facts.ts'
import { hostNameOf } from '@postern/contract/host-name.ts'
import { findEntry } from './directory.ts'
import type { Policy } from './policy.ts'

/**
 * Parses the text between the angle brackets of MAIL and RCPT. Local parts cannot route mail: a source route is dropped
 * (RFC 5321 §3.6.1, appendix C). `user%remote@local` means user@remote only if `%` is a host delimiter, and then every
 * check treats it as that remote address.
 */

export type Sender = MailAddress | 'null-sender' | null

/** The owner of an address. `postmaster`: RFC 5321 §4.5.1. `domain` of a local target is the domain's primary name. */
export type Target =
  | { kind: 'unreadable' }
  | { kind: 'remote'; address: MailAddress }
  | { kind: 'local'; local: string; domain: string; postmaster: boolean }

/** Parses the sender in MAIL FROM. Returns `''` for the null sender, and `null` if the text cannot be parsed. */
export function readSender(text: string, policy: Policy): Sender {
  if (text === '') return 'null-sender'
  return (
    readAddress(text, parseMailAddress(text), policy) ??
    readName(text, policy.home?.name ?? policy.settings.general.hostname, policy)
  )
}

/** An address as given to RCPT, VRFY or EXPN, and the session's facts. */
export type Asked = { text: string; parsed: MailAddress | null; facts: Pick<SessionFacts, 'local' | 'machine'> }

/** Determines the owner of an address. */
export function readTarget({ text, parsed, facts }: Asked, policy: Policy): Target {
  const address = readAddress(text, parsed, policy)
  if (address) return targetOf(address, facts, policy)
  const domain = ownDomain(facts, policy)
  if (domain === undefined) return unreadable
  if (text.toLowerCase() === 'postmaster') return { kind: 'local', local: 'postmaster', domain, postmaster: true }
  const named = policy.home ? readName(text, domain, policy) : null
  return named ? targetOf(named, facts, policy) : unreadable
}

/**
 * Reads a user name without a domain, such as `<root>`, as sent by devices and cron jobs. It belongs to this domain, as
 * with Postfix's `myorigin`.
 */
function readName(text: string, domain: string, { settings }: Policy): MailAddress | null {
  const { hostDelimiters } = settings.advanced
  if (text.includes('@') || [...text].some((character) => hostDelimiters.includes(character))) return null
  return parseMailAddress(`${text}@${domain}`)
}

/**
 * Returns the domain for `postmaster` without a domain. A server without local domains also has a postmaster once one
 * is set.
 */
function ownDomain({ machine }: Asked['facts'], { home, settings }: Policy): string | undefined {
  const { hostname, postmaster } = settings.general
  return home?.name ?? (postmaster === '' ? undefined : hostNameOf(hostname, machine).toLowerCase())
}

const unreadable: Target = { kind: 'unreadable' }

function targetOf(address: MailAddress, facts: Asked['facts'], policy: Policy): Target {
  const { directory, settings, home } = policy
  const { local, domain } = address
  const own = directory.domains.get(domain)
  const postmaster = isPostmaster(local, settings.advanced.mailboxDelimiter)
  if (own) return { kind: 'local', local, domain: own.name, postmaster }
  const isOurs = domain.startsWith('[') ? isOwnLiteral(domain, facts) : postmaster && isOwnName(domain, facts, policy)
  const ours = isOurs && (home || postmaster) ? ownDomain(facts, policy) : undefined
  return ours === undefined ? { kind: 'remote', address } : { kind: 'local', local, domain: ours, postmaster }
}

/** RFC 5321 §4.1.3: matches `user@[192.0.2.1]` if the client connected to 192.0.2.1. */
function isOwnLiteral(domain: string, { local }: Asked['facts']): boolean {
  return local !== undefined && canonicalDomain(`[${local}]`) === domain
}

function isOwnName(domain: string, { machine }: Asked['facts'], { settings }: Policy): boolean {
  const { hostname } = settings.general
  return domain === (hostname || machine).toLowerCase() || domain === hostNameOf(hostname, machine).toLowerCase()
}

/** Matches the reserved name `postmaster` at every local domain, in any case and with any box. */
function isPostmaster(local: string, mailboxDelimiter: string): boolean {
  if (local.length < 10) return false
  const folded = foldLocal(local)
  return folded === 'postmaster' || (mailboxDelimiter !== '' && folded.startsWith(`postmaster${mailboxDelimiter}`))
}

/**
 * @param parsed the result of `parseMailAddress`, if already known
 * @returns the effective address: without a source route, with host delimiters read as `@`, and with the server's own
 *   address literal replaced by its domain
 */
export function readAddress(text: string, parsed: MailAddress | null, policy: Policy): MailAddress | null {
  const delimiters = policy.settings.advanced.hostDelimiters
  if (delimiters === '') return parsed ?? parseMailAddress(withoutRoute(text))
  // A user name without a domain was already read as a local address, and it contains no delimiter.
  if (parsed && !text.includes('@')) return parsed
  return readDelimited(withoutRoute(text), delimiters, policy)
}

const route = /^@(?:[^\s,:@[\]]+|\[[^\][@]*\])(?:,[ \t]*@(?:[^\s,:@[\]]+|\[[^\][@]*\]))*:[ \t]*/

/** Removes a source route: `@a,@b:user@host` becomes `user@host`. */
export function withoutRoute(text: string): string {
  return text.startsWith('@') && text.length <= 1000 ? text.replace(route, '') : text
}

/**
 * Resolves host delimiters: while the domain is local and the local part contains a delimiter, the local part is the
 * actual address.
 */
function readDelimited(text: string, delimiters: string, policy: Policy): MailAddress | null {
  const { directory, settings } = policy
  let at = text.lastIndexOf('@')
  if (at < 0) at = lastDelimiter(text, delimiters)
  for (let rest = text; at > 0; ) {
    const local = rest.slice(0, at)
    const domain = canonicalDomain(rest.slice(at + 1))
    if (!domain) return null
    const own = directory.domains.get(domain)?.name
    const next =
      own === undefined || local.startsWith('"') || local.includes('@') ? -1 : lastDelimiter(local, delimiters)
    if (next < 1 || own === undefined) return parseMailAddress(`${local}@${domain}`)
    if (findEntry(directory, { local, domain: own }, settings.advanced.mailboxDelimiter))
      return parseMailAddress(`${local}@${domain}`)
    rest = local
    at = next
  }
  return null
}

function lastDelimiter(text: string, delimiters: string): number {
  for (let i = text.length - 1; i > 0; i--) if (delimiters.includes(text[i] as string)) return i
  return -1
}

/** Returns the client's recipient as kept in an envelope: without a source route, and with a domain. */
export function originalOf(text: string, { local, domain }: { local: string; domain: string }): string {
  const said = withoutRoute(text).slice(0, 320)
  return said.includes('@') ? said : `${local}@${domain}`
}

/** Returns whether SMTP without SMTPUTF8 can carry the text. */
export function isAscii(text: string): boolean {
  return !/[^\x00-\x7f]/.test(text)
}
