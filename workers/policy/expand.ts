import { foldAddress } from '@postern/contract/address.ts'
import type { Domain } from '@postern/contract/directory.ts'
import type { Recipient } from '@postern/contract/envelope.ts'
import { type Directory, type Entry, findEntry, type Mailbox, splitAddress, withoutBox } from './directory.ts'
import type { Policy } from './policy.ts'

/**
 * The final destinations of mail for one local address. `leftOut`: one sentence for each member or target that gets
 * nothing.
 */
export type Expansion =
  | { kind: 'found'; recipients: readonly Recipient[]; because: string; leftOut: readonly string[] }
  | { kind: 'loop'; because: string; leftOut: readonly string[] }
  | { kind: 'unknown'; because: string; leftOut: readonly string[] }

/** More final recipients than this count as a loop. */
const expansionLimit = 100_000
/** Maximum nesting of aliases, groups and forwarding accounts. */
const depthLimit = 50
/** Maximum number of sentences in `leftOut`. */
const maxLeftOut = 20

/**
 * Returns the host to ask about recipients of a domain that are not in the directory. `domain` is the domain's primary
 * name.
 */
export function calloutHost({ domains }: Directory, domain: string): CalloutHost | undefined {
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

/**
 * Returns whether the domain accepts mail for unknown users, whom its route may know. Never true for a maildir, where
 * only accounts have a mailbox.
 */
export function takesAnybody(domain: Domain | undefined): boolean {
  return domain?.verifyRecipients === 'any' && domain.route.type !== 'maildir'
}

/** The parts of the policy that an expansion reads. */
export type PartialDirectory = Pick<Policy, 'directory'> & {
  readonly settings: {
    advanced: Pick<Policy['settings']['advanced'], 'mailboxDelimiter'>
    general: Pick<Policy['settings']['general'], 'defaultMailHost' | 'postmaster'>
  }
}

type Walk = {
  policy: PartialDirectory
  /** The recipient as the client gave it. */
  original: string
  found: Map<string, Recipient>
  /** Keys of the entries being expanded, outermost first. */
  path: string[]
  /** Fully expanded keys, and whether each led to a recipient. */
  done: Map<string, boolean>
  /** The account that forwards the recipients found now. */
  forwardedBy: string | undefined
  leftOut: string[]
  loops: boolean
  because: string
}

/**
 * Follows aliases, groups and forwarding accounts. If an address recurs during its own expansion, it means the account
 * of that name, if there is one (`jane` → `jane`, `archive` keeps a copy for jane); otherwise it is a loop. Members
 * that loop or do not exist are left out, and the others get the mail. The address is refused only if no recipient
 * remains.
 */
export function expand(target: Mailbox, original: string, policy: PartialDirectory): Expansion {
  const entry = findEntry(policy.directory, target, policy.settings.advanced.mailboxDelimiter)
  if (entry?.kind === 'account' && !forwards(entry))
    return {
      kind: 'found',
      recipients: [{ address: entry.key, original }],
      because: `${entry.key} is an account.`,
      leftOut: [],
    }
  const walk = walkFor(original, policy)
  if (entry) visitEntry(walk, entry)
  else visitUnknown(walk, target)
  return outcomeOf(walk)
}

/**
 * Returns the reader of postmaster mail for this domain when neither the directory nor the route's host has a
 * postmaster.
 */
export function expandPostmaster(domain: string, original: string, policy: PartialDirectory): Expansion {
  const walk = walkFor(original, policy)
  visitPostmaster(walk, domain)
  return outcomeOf(walk)
}

function walkFor(original: string, policy: PartialDirectory): Walk {
  return {
    policy,
    original,
    found: new Map(),
    path: [],
    done: new Map(),
    forwardedBy: undefined,
    leftOut: [],
    loops: false,
    because: '',
  }
}

function outcomeOf({ found, because, leftOut, loops }: Walk): Expansion {
  if (found.size > expansionLimit)
    return { kind: 'loop', because: `It leads to more than ${expansionLimit} recipients.`, leftOut }
  if (found.size > 0)
    return { kind: 'found', recipients: [...found.values()], because: told(because, leftOut), leftOut }
  if (loops) return { kind: 'loop', because: leftOut[0] ?? because, leftOut }
  return { kind: 'unknown', because: told(because, leftOut), leftOut }
}

function told(because: string, leftOut: readonly string[]): string {
  return leftOut.length === 0 ? because : `${because} Left out: ${leftOut.slice(0, 5).join(' ')}`
}

/** Visits an address. Returns whether it led to a recipient. */
function visit(walk: Walk, mailbox: Mailbox): boolean {
  const { directory, settings } = walk.policy
  const entry = findEntry(directory, mailbox, settings.advanced.mailboxDelimiter)
  return entry ? visitEntry(walk, entry) : visitUnknown(walk, mailbox)
}

function visitEntry(walk: Walk, entry: Entry): boolean {
  if (entry.kind === 'account' && !forwards(entry)) return addAccount(walk, entry.key)
  const before = walk.done.get(entry.key)
  if (before !== undefined) return before
  if (!walk.path.includes(entry.key)) return open(walk, entry)
  if (walk.policy.directory.accounts.has(entry.key)) return addAccount(walk, entry.key)
  walk.loops = true
  return leaveOut(walk, `${[...walk.path, entry.key].join(' → ')} is a loop of aliases or groups.`)
}

function forwards(entry: Entry): boolean {
  return entry.kind === 'account' && entry.account.forwardTo !== undefined && entry.account.forwardTo.length > 0
}

function open(walk: Walk, entry: Entry): boolean {
  if (walk.path.length >= depthLimit) {
    walk.loops = true
    return leaveOut(walk, `${entry.key} is nested more than ${depthLimit} aliases or groups deep.`)
  }
  walk.path.push(entry.key)
  const reached = entry.kind === 'account' ? forward(walk, entry) : openList(walk, entry)
  walk.path.pop()
  walk.done.set(entry.key, reached)
  return reached
}

function openList(walk: Walk, entry: Exclude<Entry, { kind: 'account' }>): boolean {
  const to = entry.kind === 'alias' ? entry.alias.to : entry.group.members
  walk.because ||= `${entry.key} is ${entry.kind === 'alias' ? 'an alias' : 'a group'} of ${countOf(to)}.`
  return followAll(walk, to)
}

/** `2 addresses`. */
function countOf(addresses: readonly string[]): string {
  return addresses.length === 1 ? '1 address' : `${addresses.length} addresses`
}

/** Forwards an account's mail. Mail that no target can take stays in the account's own mailbox. */
function forward(walk: Walk, { key, account }: Extract<Entry, { kind: 'account' }>): boolean {
  const { forwardTo = [], keepCopy = true } = account
  walk.because ||= `${key} is an account that forwards to ${countOf(forwardTo)}${keepCopy ? ' and keeps a copy' : ''}.`
  if (keepCopy) addAccount(walk, key)
  const outer = walk.forwardedBy
  walk.forwardedBy = key
  const reached = followAll(walk, forwardTo)
  walk.forwardedBy = outer
  return reached || keepCopy || addAccount(walk, key)
}

function followAll(walk: Walk, to: readonly string[]): boolean {
  let reached = false
  for (const address of to) {
    if (follow(walk, address)) reached = true
    if (walk.found.size > expansionLimit) break
  }
  return reached
}

/** Follows a group member or alias target. A local one is expanded further; others are final. */
function follow(walk: Walk, address: string): boolean {
  const { local, domain } = splitAddress(address)
  const own = walk.policy.directory.domains.get(domain)
  return own ? visit(walk, { local, domain: own.name }) : add(walk, address, '')
}

function visitUnknown(walk: Walk, { local, domain }: Mailbox): boolean {
  const { directory, settings } = walk.policy
  const address = `${local}@${domain}`
  const own = directory.domains.get(domain)
  const isPostmaster = withoutBox(local, settings.advanced.mailboxDelimiter) === 'postmaster'
  if (own && own.catchAll !== '') {
    if (visitCatchAll(walk, address, own.catchAll)) return true
    if (!isPostmaster && !takesAnybody(own)) return false
  }
  if (takesAnybody(own))
    return add(walk, address, `${address} is not in the directory; verifyRecipients of its domain is any.`)
  const host = calloutHost(directory, domain)
  if (host) return add(walk, address, `${address} is not in the directory; a callout asks ${host.host} about it.`)
  if (isPostmaster) return visitPostmaster(walk, domain)
  const { defaultMailHost } = settings.general
  if (defaultMailHost !== '') {
    const because = `${address} is unknown here and goes to general.defaultMailHost, ${defaultMailHost}.`
    return add(walk, address, because, defaultMailHost)
  }
  walk.because ||= `${address} is not in the directory, its domain has no catch-all, and general.defaultMailHost is empty.`
  return leaveOut(walk, `${address} is not in the directory.`)
}

/** Visits a catch-all. A catch-all that is unknown, or that is the unmatched address itself, does not count. */
function visitCatchAll(walk: Walk, address: string, catchAll: string): boolean {
  const { directory, settings } = walk.policy
  const { local, domain } = splitAddress(catchAll)
  const own = directory.domains.get(domain)
  const because = `${address} is not in the directory; the catch-all of its domain is ${catchAll}.`
  if (!own) return add(walk, catchAll, because)
  const entry = findEntry(directory, { local, domain: own.name }, settings.advanced.mailboxDelimiter)
  if (entry) {
    walk.because ||= because
    return visitEntry(walk, entry)
  }
  if (takesAnybody(own) || calloutHost(directory, own.name)) return add(walk, `${local}@${own.name}`, because)
  const name = withoutBox(local, settings.advanced.mailboxDelimiter)
  if (name === 'postmaster' && visitPostmaster(walk, own.name)) return true
  walk.because = `${address} is not in the directory, nor is the catch-all of its domain, ${catchAll}.`
  return leaveOut(walk, walk.because)
}

/** Cannot be the name of an entry, because it has no `@`. */
const postmasterStep = 'general.postmaster'

/** RFC 5321 §4.5.1: postmaster of every domain reaches a person. The help of `general.postmaster` gives the order. */
function visitPostmaster(walk: Walk, domain: string): boolean {
  if (walk.path.includes(postmasterStep)) return leaveOut(walk, 'general.postmaster leads back to postmaster.')
  const { directory, settings } = walk.policy
  const { postmaster, defaultMailHost } = settings.general
  const address = `postmaster@${domain}`
  if (postmaster !== '') {
    walk.path.push(postmasterStep)
    walk.because ||= `${address} is not in the directory and goes to general.postmaster, ${postmaster}.`
    const reached = follow(walk, postmaster)
    walk.path.pop()
    if (reached) return true
  }
  if (defaultMailHost !== '')
    return add(walk, address, `${address} goes to general.defaultMailHost, ${defaultMailHost}.`, defaultMailHost)
  const { type } = directory.domains.get(domain)?.route ?? { type: 'maildir' }
  if (type !== 'maildir' && type !== 'discard')
    return add(walk, address, `${address} goes to the route of its domain (RFC 5321 §4.5.1).`)
  const reader = directory.firstAccounts.get(domain) ?? directory.firstAccounts.get('')
  const entry = reader === undefined ? null : findEntry(directory, splitAddress(reader), '')
  if (entry && !walk.path.includes(entry.key)) {
    walk.because = `general.postmaster does not reach any mailbox; ${address} goes to ${entry.key}, the first account.`
    return visitEntry(walk, entry)
  }
  walk.because = `${address} is not in the directory, general.postmaster does not reach any mailbox, and there is no account.`
  return leaveOut(walk, walk.because)
}

function addAccount(walk: Walk, key: string): boolean {
  return add(walk, key, `${key} is an account.`)
}

function add(walk: Walk, address: string, because: string, via?: string): boolean {
  walk.because ||= because
  const key = foldAddress(splitAddress(address))
  const { original, forwardedBy } = walk
  const isForwarded = forwardedBy !== undefined && forwardedBy !== key
  if (!walk.found.has(key))
    walk.found.set(key, { address, original, ...(via && { via }), ...(isForwarded && { forwardedBy }) })
  return true
}

/** Records a member that gets nothing. The requested address itself is not recorded. */
function leaveOut(walk: Walk, sentence: string): false {
  if (walk.path.length > 0 && walk.leftOut.length < maxLeftOut && !walk.leftOut.includes(sentence))
    walk.leftOut.push(sentence)
  return false
}
