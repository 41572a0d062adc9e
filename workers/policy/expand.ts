import { foldAddress } from '@postern/contract/address.ts'
import type { Recipient } from '@postern/contract/envelope.ts'
import { type Entry, findEntry, type Mailbox, splitAddress, withoutBox } from './directory.ts'
import type { Policy } from './policy.ts'

/** Where the mail for one local address goes in the end. */
export type Expansion =
  | { kind: 'found'; recipients: readonly Recipient[]; because: string }
  | { kind: 'loop'; because: string }
  | { kind: 'unknown'; because: string }

/** More final recipients than this is taken for a loop. */
const expansionLimit = 100_000
/** Aliases and groups within each other. */
const depthLimit = 50

/** The host that is asked about recipients of a domain that the directory does not know. `domain` is the domain's first name. */
export function calloutHost({ domains }: Policy['directory'], domain: string): CalloutHost | undefined {
  const found = domains.get(domain)
  if (found?.verifyRecipients !== 'callout') return undefined
  const { route } = found
  if (route.type === 'smtp') return { protocol: 'smtp', host: route.host, port: route.port, tls: route.tls }
  return route.type === 'lmtp' ? { protocol: 'lmtp', host: route.host, port: route.port, tls: 'none' } : undefined
}

export type CalloutHost = {
  protocol: 'smtp' | 'lmtp'
  host: string
  port: number
  tls: 'none' | 'opportunistic' | 'require'
}

type Walk = {
  policy: Policy
  /** What the client said. */
  original: string
  found: Map<string, Recipient>
  /** Keys of the aliases and groups that are being opened, outermost first. */
  path: string[]
  /** Those that were opened to the end: their members are in `found`. */
  done: Set<string>
  because: string
}

/**
 * Follows aliases and groups. An address that comes up again while it is being opened is the account of that name if there is
 * one (`jane` → `jane`, `archive` keeps a copy for jane), else a loop. Local members that do not exist are left out as long as
 * somebody remains. `postmaster` exists at every local domain (RFC 5321 §4.5.1): as the entry of that name, else as the
 * catch-all, else as a mailbox of the domain itself.
 */
export function expand(target: Mailbox, original: string, policy: Policy): Expansion {
  const { directory, settings } = policy
  const entry = findEntry(directory, target, settings.advanced.mailboxDelimiter)
  if (entry?.kind === 'account')
    return { kind: 'found', recipients: [{ address: entry.key, original }], because: `${entry.key} is an account.` }
  const walk: Walk = { policy, original, found: new Map(), path: [], done: new Set(), because: '' }
  const wrong = entry ? visitEntry(walk, entry) : visitUnknown(walk, target)
  if (wrong) return { kind: 'loop', because: wrong }
  if (walk.found.size === 0) return { kind: 'unknown', because: walk.because }
  return { kind: 'found', recipients: [...walk.found.values()], because: walk.because }
}

/** Returns what is wrong when the address loops. */
function visit(walk: Walk, mailbox: Mailbox): string | null {
  const { directory, settings } = walk.policy
  const entry = findEntry(directory, mailbox, settings.advanced.mailboxDelimiter)
  return entry ? visitEntry(walk, entry) : visitUnknown(walk, mailbox)
}

function visitEntry(walk: Walk, entry: Entry): string | null {
  const { accounts } = walk.policy.directory
  if (entry.kind === 'account') return add(walk, entry.key, `${entry.key} is an account.`)
  if (walk.done.has(entry.key)) return null
  if (!walk.path.includes(entry.key)) return open(walk, entry)
  if (accounts.has(entry.key)) return add(walk, entry.key, `${entry.key} is an account.`)
  return `${[...walk.path, entry.key].join(' → ')} is a loop of aliases or groups.`
}

function open(walk: Walk, entry: Exclude<Entry, { kind: 'account' }>): string | null {
  const to = entry.kind === 'alias' ? entry.alias.to : entry.group.members
  if (walk.path.length >= depthLimit) return `${entry.key} lies more than ${depthLimit} aliases or groups deep.`
  walk.because ||= `${entry.key} is ${entry.kind === 'alias' ? 'an alias' : 'a group'} of ${to.length}.`
  walk.path.push(entry.key)
  for (const address of to) {
    const wrong = follow(walk, address)
    if (wrong) return wrong
  }
  walk.path.pop()
  walk.done.add(entry.key)
  return null
}

/** A member, or the target of an alias: ours goes on, others end here. */
function follow(walk: Walk, address: string): string | null {
  const { local, domain } = splitAddress(address)
  const own = walk.policy.directory.domains.get(domain)
  return own ? visit(walk, { local, domain: own.name }) : add(walk, address, '')
}

function visitUnknown(walk: Walk, { local, domain }: Mailbox): string | null {
  const { directory, settings } = walk.policy
  const address = `${local}@${domain}`
  const { catchAll } = directory.domains.get(domain) ?? { catchAll: '' }
  if (catchAll !== '') return visitCatchAll(walk, address, catchAll)
  const name = withoutBox(local, settings.advanced.mailboxDelimiter)
  if (name === 'postmaster') return add(walk, `${name}@${domain}`, `${name}@${domain} always exists (RFC 5321 §4.5.1).`)
  const host = calloutHost(directory, domain)
  if (host) return add(walk, address, `${address} is not in the directory; ${host.host} is asked about it by callout.`)
  const { defaultMailHost } = settings.general
  if (defaultMailHost !== '') {
    const because = `${address} is unknown here and goes to general.defaultMailHost, ${defaultMailHost}.`
    return add(walk, address, because, defaultMailHost)
  }
  walk.because ||= `${address} is not in the directory, its domain has no catch-all, and general.defaultMailHost is empty.`
  return null
}

/** A catch-all that is itself unknown catches nothing. */
function visitCatchAll(walk: Walk, address: string, catchAll: string): string | null {
  const { directory, settings } = walk.policy
  const { local, domain } = splitAddress(catchAll)
  const own = directory.domains.get(domain)
  walk.because ||= `${address} is not in the directory; the catch-all of its domain is ${catchAll}.`
  if (!own) return add(walk, catchAll, '')
  const entry = findEntry(directory, { local, domain: own.name }, settings.advanced.mailboxDelimiter)
  if (entry) return visitEntry(walk, entry)
  const name = withoutBox(local, settings.advanced.mailboxDelimiter)
  if (name === 'postmaster') return add(walk, `${name}@${own.name}`, '')
  walk.because = `${address} is not in the directory, nor is the catch-all of its domain, ${catchAll}.`
  return null
}

function add(walk: Walk, address: string, because: string, via?: string): string | null {
  walk.because ||= because
  const key = foldAddress(splitAddress(address))
  if (!walk.found.has(key)) walk.found.set(key, { address, original: walk.original, ...(via && { via }) })
  return walk.found.size > expansionLimit ? `It leads to more than ${expansionLimit} recipients.` : null
}
