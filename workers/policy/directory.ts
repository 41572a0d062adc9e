import { foldLocal } from '@postern/contract/address.ts'
import type { Account, Alias, Domain, Group } from '@postern/contract/directory.ts'

/**
 * The directory, which makes an address local. Every key is folded (`foldAddress`) and uses the domain's primary name,
 * whichever of its names was given. If several entries have one address, an alias takes precedence over a group, and a
 * group over an account.
 */
export type Directory = {
  /** Keyed by every name and alias. */
  domains: Map<string, Domain>
  accounts: Map<string, Account>
  aliases: Map<string, Alias>
  groups: Map<string, Group>
  /** Keyed by the folded login. Disabled accounts are not included. */
  logins: Map<string, Account>
  /** The first enabled account by name, for each domain by its primary name, and for all domains under the empty name. */
  firstAccounts: Map<string, string>
}

export type Mailbox = { local: string; domain: string }

export type Entry =
  | { kind: 'alias'; key: string; alias: Alias }
  | { kind: 'group'; key: string; group: Group }
  | { kind: 'account'; key: string; account: Account }

export function emptyDirectory(): Directory {
  return {
    domains: new Map(),
    accounts: new Map(),
    aliases: new Map(),
    groups: new Map(),
    logins: new Map(),
    firstAccounts: new Map(),
  }
}

export function addDomain({ domains }: Directory, domain: Domain): void {
  for (const alias of domain.aliases) if (!domains.has(alias)) domains.set(alias, domain)
  domains.set(domain.name, domain)
}

/**
 * Adds an account. Domains must be added first, because keys depend on their names. Of two accounts with the same
 * address, the first stays.
 */
export function addAccount(directory: Directory, account: Account): void {
  const key = keyOfText(directory, account.address)
  keep(directory.accounts, key, account)
  if (account.disabled) return
  keep(directory.logins, foldLogin(account.login || account.address), account)
  for (const scope of ['', splitAddress(key).domain]) {
    const first = directory.firstAccounts.get(scope)
    if (first === undefined || key < first) directory.firstAccounts.set(scope, key)
  }
}

export function addAlias(directory: Directory, alias: Alias): void {
  keep(directory.aliases, keyOfText(directory, alias.address), alias)
}

export function addGroup(directory: Directory, group: Group): void {
  keep(directory.groups, keyOfText(directory, group.address), group)
}

function keep<T>(entries: Map<string, T>, key: string, value: T): void {
  if (!entries.has(key)) entries.set(key, value)
}

/** Folds a login for comparison, which ignores case. */
export function foldLogin(login: string): string {
  return login.trim().normalize('NFC').toLowerCase()
}

/** Splits a canonical address at its last `@`. */
export function splitAddress(text: string): Mailbox {
  const at = text.lastIndexOf('@')
  return { local: text.slice(0, at), domain: text.slice(at + 1) }
}

/** Returns the key of an address that the contract has made canonical. */
export function keyOfText(directory: Directory, text: string): string {
  const { local, domain } = splitAddress(text)
  return `${foldLocal(local)}@${directory.domains.get(domain)?.name ?? domain}`
}

/** Returns the entry with exactly this key. */
export function entryAt({ aliases, groups, accounts }: Directory, key: string): Entry | null {
  const alias = aliases.get(key)
  if (alias) return { kind: 'alias', key, alias }
  const group = groups.get(key)
  if (group) return { kind: 'group', key, group }
  const account = accounts.get(key)
  return account ? { kind: 'account', key, account } : null
}

/**
 * Returns the entry for an address: an exact match, else the match without its box (`user+box` is `user`). `domain` is
 * the domain's primary name.
 */
export function findEntry(directory: Directory, { local, domain }: Mailbox, mailboxDelimiter: string): Entry | null {
  const folded = foldLocal(local)
  const exact = entryAt(directory, `${folded}@${domain}`)
  if (exact || mailboxDelimiter === '') return exact
  const cut = folded.indexOf(mailboxDelimiter)
  return cut > 0 ? entryAt(directory, `${folded.slice(0, cut)}@${domain}`) : null
}

/** Returns the folded local part without its box. */
export function withoutBox(local: string, mailboxDelimiter: string): string {
  const folded = foldLocal(local)
  const cut = mailboxDelimiter === '' ? -1 : folded.indexOf(mailboxDelimiter)
  return cut > 0 ? folded.slice(0, cut) : folded
}
