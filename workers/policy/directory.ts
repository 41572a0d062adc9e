import { foldLocal } from '@postern/contract/address.ts'
import type { Account, Alias, Domain, Group } from '@postern/contract/directory.ts'

/**
 * What makes an address local. Every key is folded (`foldAddress`) with the domain's first name, whichever of its names was
 * used. Of several entries with one address an alias goes before a group, a group before an account.
 */
export type Directory = {
  /** By every name and alias. */
  domains: Map<string, Domain>
  accounts: Map<string, Account>
  aliases: Map<string, Alias>
  groups: Map<string, Group>
  /** By what the user types to log in, folded; disabled accounts are not in it. */
  logins: Map<string, Account>
  /** The first enabled account by name, of each domain by its first name, and of all under the empty name. */
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

/** Domains first: keys depend on their names. Of two with the same address the first stays. */
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

/** How logins are compared: without regard to case. */
export function foldLogin(login: string): string {
  return login.trim().normalize('NFC').toLowerCase()
}

/** Takes a canonical address apart at its last `@`. */
export function splitAddress(text: string): Mailbox {
  const at = text.lastIndexOf('@')
  return { local: text.slice(0, at), domain: text.slice(at + 1) }
}

/** The key of an address that the contract has made canonical. */
export function keyOfText(directory: Directory, text: string): string {
  const { local, domain } = splitAddress(text)
  return `${foldLocal(local)}@${directory.domains.get(domain)?.name ?? domain}`
}

/** The entry under exactly this key. */
export function entryAt({ aliases, groups, accounts }: Directory, key: string): Entry | null {
  const alias = aliases.get(key)
  if (alias) return { kind: 'alias', key, alias }
  const group = groups.get(key)
  if (group) return { kind: 'group', key, group }
  const account = accounts.get(key)
  return account ? { kind: 'account', key, account } : null
}

/** The entry an address means: itself, else without its box (`user+box` is `user`). `domain` is the domain's first name. */
export function findEntry(directory: Directory, { local, domain }: Mailbox, mailboxDelimiter: string): Entry | null {
  const folded = foldLocal(local)
  const exact = entryAt(directory, `${folded}@${domain}`)
  if (exact || mailboxDelimiter === '') return exact
  const cut = folded.indexOf(mailboxDelimiter)
  return cut > 0 ? entryAt(directory, `${folded.slice(0, cut)}@${domain}`) : null
}

/** The local part without its box, folded. */
export function withoutBox(local: string, mailboxDelimiter: string): string {
  const folded = foldLocal(local)
  const cut = mailboxDelimiter === '' ? -1 : folded.indexOf(mailboxDelimiter)
  return cut > 0 ? folded.slice(0, cut) : folded
}
