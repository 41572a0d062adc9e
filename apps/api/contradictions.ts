import { type Domain, namesOf } from '@postern/contract/directory.ts'
import { parseAddress } from '@postern/contract/ip-address.ts'
import type { RowKind, RowValues } from '@postern/contract/rows.ts'
import type { AdvancedSettings, TlsSettings } from '@postern/contract/settings.ts'
import type { Change } from '@postern/store/control/change.ts'
import type { ChangeSet } from '@postern/store/control/change-set.ts'
import {
  accountsByLogin,
  addressesIn,
  domainsNamed,
  holding,
  type Named,
  ownersOf,
  sameLocals,
} from '@postern/store/control/directory.ts'
import { type FieldError, invalid } from './problem.ts'

/** Finds rows that contradict each other, which no row's own schema can detect. Runs before a revision is sealed. */

export async function refuseContradictions(changeSet: ChangeSet): Promise<void> {
  const found: FieldError[] = []
  for (const change of changeSet.changes) found.push(...(await contradictionsOf(changeSet, change)))
  if (found.length > 0) throw invalid(found)
}

function contradictionsOf(changeSet: ChangeSet, change: Change): Promise<FieldError[]> | FieldError[] {
  switch (change.kind) {
    case 'settings':
      if (change.id === 'general') return addressAsName(change)
      return change.id === 'advanced' || change.id === 'tls' ? inSettings(changeSet, change.id) : []
    case 'domain':
      return change.after === null ? leftBehind(changeSet, change.before) : inDomain(changeSet, change)
    case 'account':
    case 'alias':
    case 'group':
      return change.after === null ? [] : inAddress(changeSet, change)
    default:
      return []
  }
}

/** Checked here and not in the schema, so that values from earlier releases stay readable. */
function addressAsName({ before, after }: Change): FieldError[] {
  const nameIn = (json: string | null) => String((JSON.parse(json ?? '{}') as { hostname?: string }).hostname ?? '')
  const name = nameIn(after)
  if (name === nameIn(before) || !parseAddress(name)) return []
  const message = `hostname is "${name}", which is an address; it must be a fully-qualified host name, e.g. mail.example.org, or empty`
  return [{ path: 'hostname', message }]
}

async function inSettings(changeSet: ChangeSet, group: 'advanced' | 'tls'): Promise<FieldError[]> {
  const advanced = (await changeSet.get('settings', 'advanced'))?.value as AdvancedSettings
  const tls = (await changeSet.get('settings', 'tls'))?.value as TlsSettings
  return [...samePort(advanced, tls, group), ...(group === 'advanced' ? await delimiters(changeSet, advanced) : [])]
}

function samePort(
  advanced: AdvancedSettings,
  { implicitTlsPort }: TlsSettings,
  group: 'advanced' | 'tls',
): FieldError[] {
  const ports = [
    ['port', advanced.port],
    ['submissionPort', advanced.submissionPort],
    ...advanced.extraPorts.map((port, i) => [`extraPorts.${i}`, port] as const),
  ] as const
  const taken = ports.find(([, port]) => port === implicitTlsPort)
  if (!taken) return []
  const message = `port ${implicitTlsPort} is used twice: advanced.${taken[0]} and tls.implicitTlsPort; each port may be used once`
  return [{ path: group === 'tls' ? 'implicitTlsPort' : taken[0], message }]
}

async function delimiters(
  changeSet: ChangeSet,
  { mailboxDelimiter, hostDelimiters }: AdvancedSettings,
): Promise<FieldError[]> {
  const check = async (path: string, character: string, alsoLogins: boolean) => {
    const found = await holding(changeSet.queries, character, alsoLogins)
    if (found.length === 0) return []
    return [
      {
        path,
        message: `${path} is "${character}", which occurs in ${named(found)}; choose another or rename them first`,
      },
    ]
  }
  const checks = [
    ...(mailboxDelimiter ? [check('mailboxDelimiter', mailboxDelimiter, false)] : []),
    ...[...hostDelimiters].map((character) => check('hostDelimiters', character, true)),
  ]
  return (await Promise.all(checks)).flat()
}

async function inAddress(changeSet: ChangeSet, { kind, id, key }: Change): Promise<FieldError[]> {
  const found: FieldError[] = []
  const others = (await ownersOf(changeSet.queries, await spellings(changeSet, key))).filter(
    (other) => other.kind !== kind || other.id !== id,
  )
  if (others.length > 0)
    found.push({ path: 'address', message: `address is "${key}", which ${named(others)} already uses` })
  const advanced = (await changeSet.get('settings', 'advanced'))?.value as AdvancedSettings | undefined
  const { mailboxDelimiter = '', hostDelimiters = '' } = advanced ?? {}
  const local = key.slice(0, key.lastIndexOf('@'))
  const taken = [mailboxDelimiter, ...hostDelimiters].find((character) => character !== '' && local.includes(character))
  if (taken)
    found.push({
      path: 'address',
      message: `address is "${key}", which contains the delimiter "${taken}"; mail to it would go to another mailbox`,
    })
  if (kind === 'account') found.push(...(await inLogin(changeSet, id)), ...(await inForwarding(changeSet, id)))
  return found
}

/** Returns the address under every name of its domain. All of them mean the same mailbox. */
async function spellings(changeSet: ChangeSet, address: string): Promise<string[]> {
  const at = address.lastIndexOf('@')
  const [named] = await domainsNamed(changeSet.queries, address.slice(at + 1))
  const domain = named && (await changeSet.get('domain', named.id))?.value
  return domain ? namesOf(domain).map((name) => address.slice(0, at + 1) + name) : [address]
}

async function inForwarding(changeSet: ChangeSet, id: string): Promise<FieldError[]> {
  const { keepCopy = true, forwardTo = [] } = (await changeSet.get('account', id))?.value ?? {}
  if (keepCopy || forwardTo.length > 0) return []
  return [{ path: 'keepCopy', message: 'keepCopy is false and forwardTo is empty, so the mail would reach no mailbox' }]
}

async function inLogin(changeSet: ChangeSet, id: string): Promise<FieldError[]> {
  const account = (await changeSet.get('account', id))?.value
  if (!account) return []
  const login = account.login || account.address
  const others = (await accountsByLogin(changeSet.queries, login)).filter((other) => other.id !== id)
  return others.length > 0
    ? [{ path: 'login', message: `login is "${login}", which ${named(others)} already has` }]
    : []
}

async function inDomain(changeSet: ChangeSet, { id, before }: Change): Promise<FieldError[]> {
  const domain = (await changeSet.get('domain', id))?.value
  if (!domain) return []
  const found = nobodyToAsk(domain)
  for (const [path, name] of [['name', domain.name], ...domain.aliases.map((alias, i) => [`aliases.${i}`, alias])]) {
    const others = (await domainsNamed(changeSet.queries, name as string)).filter((other) => other.id !== id)
    if (others.length > 0)
      found.push({ path: path as string, message: `${path} is "${name}", which ${named(others)} already has` })
  }
  if (domain.aliases.includes(domain.name))
    found.push({ path: 'aliases', message: `aliases contains "${domain.name}", which is the domain itself` })
  if (before !== null) found.push(...(await leftBehind(changeSet, before)))
  return found.length > 0 ? found : twice(changeSet, domain, before)
}

/** Finds mailboxes that a new domain name would merge. */
async function twice(changeSet: ChangeSet, domain: Domain, before: string | null): Promise<FieldError[]> {
  const known = before === null ? [] : namesOf(JSON.parse(before))
  const names = namesOf(domain)
  if (names.length === 1 || names.every((name) => known.includes(name))) return []
  const found = await sameLocals(changeSet.queries, names)
  if (found.length === 0) return []
  return [
    {
      path: 'aliases',
      message: `with these aliases of ${domain.name}, these would become the same mailbox: ${named(found)}`,
    },
  ]
}

function nobodyToAsk({ verifyRecipients, route }: Domain): FieldError[] {
  if (verifyRecipients === 'any' && route.type === 'maildir')
    return [
      {
        path: 'verifyRecipients',
        message:
          'verifyRecipients is "any", but with the route maildir only accounts have mailboxes; allowed: directory',
      },
    ]
  if (verifyRecipients !== 'callout' || route.type === 'smtp' || route.type === 'lmtp') return []
  return [
    {
      path: 'verifyRecipients',
      message: `verifyRecipients is "callout", but the route ${route.type} has no host to ask; allowed: directory${route.type === 'maildir' ? '' : ', any'}`,
    },
  ]
}

/** Finds addresses that still use a removed domain name. */
async function leftBehind(changeSet: ChangeSet, before: string | null): Promise<FieldError[]> {
  const domain = JSON.parse(before ?? '{}') as RowValues['domain']
  if (!domain.name) return []
  const errors: FieldError[] = []
  for (const name of namesOf(domain)) {
    if ((await domainsNamed(changeSet.queries, name)).length > 0) continue
    const found = await addressesIn(changeSet.queries, name)
    if (found.length === 0) continue
    const path = name === domain.name ? 'name' : 'aliases'
    errors.push({ path, message: `${name} cannot be removed while it has ${named(found)}; delete or move them first` })
  }
  return errors
}

const words: Partial<Record<RowKind, string>> = {
  account: 'the account',
  alias: 'the alias',
  group: 'the group',
  domain: 'the domain',
}

function named(found: Named[]): string {
  return found.map(({ kind, key }) => `${words[kind as RowKind] ?? kind} ${key}`).join(', ')
}
