import { tooBroad } from '@postern/contract/address-coverage.ts'
import { hostNameOf, isBare } from '@postern/contract/host-name.ts'
import { type SettingGroup, settingGroups } from '@postern/contract/settings.ts'
import { splitAddress } from '@postern/policy/directory.ts'
import { expand, type PartialDirectory } from '@postern/policy/expand.ts'
import type { Change } from '@postern/store/control/change.ts'
import type { ChangeSet } from '@postern/store/control/change-set.ts'
import { entriesNaming, keysIn } from '@postern/store/control/directory.ts'
import type { z } from 'zod'
import type { Dependencies } from './dependencies.ts'
import { partialDirectoryFor } from './partial-directory.ts'
import { routeLoops } from './route-loops.ts'

/**
 * Warns of changes that are allowed but are probably mistakes. Runs before a revision is sealed, for every kind of
 * write.
 */

type Json = Record<string, unknown>

type Machine = Pick<Dependencies, 'fixed' | 'missingSyslog'>

export async function warningsOf(changeSet: ChangeSet, parts: Machine): Promise<string[]> {
  const { changes } = changeSet
  return [
    ...changes.flatMap(ofSettings),
    ...changes.flatMap(ofHostName),
    ...changes.flatMap((change) => ofSyslog(change, parts)),
    ...(await ofLists(changeSet, [...changes, ...changeSet.examples])),
    ...(await ofDirectory(changeSet, changes)),
    ...(await routeLoops(changeSet, parts.fixed)),
  ]
}

function parsed(json: string | null): Json | undefined {
  return json === null ? undefined : (JSON.parse(json) as Json)
}

/** Warns of dangerous values that were not set before. */
function ofSettings({ kind, id, before, after }: Change): string[] {
  const now = parsed(after)
  if (kind !== 'settings' || !now) return []
  const old = parsed(before)
  const shape = settingGroups[id as SettingGroup].schema.shape as Record<string, z.ZodType>
  return Object.entries(shape).flatMap(([key, schema]) => {
    const { danger } = (schema.meta() ?? {}) as { danger?: { text: string; values?: unknown[] } }
    return danger?.values?.includes(now[key]) && old?.[key] !== now[key] ? [`${id}.${key}: ${danger.text}`] : []
  })
}

function ofHostName({ kind, id, before, after }: Change): string[] {
  const hostname = kind === 'settings' && id === 'general' ? String(parsed(after)?.hostname ?? '') : ''
  if (!hostname || !isBare(hostname) || parsed(before)?.hostname === hostname) return []
  return [
    `general.hostname: ${hostname} is not fully qualified (RFC 5321 §2.3.5), and is sent as ${hostNameOf(hostname, '')}; many servers refuse mail from such a host. Set a name such as mail.example.org.`,
  ]
}

function ofSyslog({ kind, id, after }: Change, { missingSyslog }: Machine): string[] {
  const isWanted = kind === 'settings' && id === 'logging' && parsed(after)?.destination === 'syslog'
  const missing = isWanted ? missingSyslog?.() : undefined
  if (missing === undefined) return []
  return [
    `logging.destination: this machine has no ${missing}. Until a syslog daemon runs, log lines are buffered and then lost. To use another socket, set POSTERN_SYSLOG.`,
  ]
}

const broad = {
  relay: 'all these clients may send to any domain without logging in. For them, this server is an open relay.',
  white: 'all these clients skip the checks that the White List turns off.',
}

/** Checks each list as a whole, because several blocks together may cover most of the Internet. */
async function ofLists(changeSet: ChangeSet, changes: readonly Change[]): Promise<string[]> {
  const found: string[] = []
  for (const list of ['relay', 'white'] as const) {
    if (!changes.some(({ kind, after }) => kind === list && after !== null)) continue
    for (const family of tooBroad(await keysIn(changeSet.queries, list)))
      found.push(
        `The ${list === 'relay' ? 'relay list' : 'White List'} covers a large part of the ${family} Internet: ${broad[list]}`,
      )
  }
  return found
}

/** Warns of addresses that lead to no mailbox, or only to some of those they name. */
async function ofDirectory(changeSet: ChangeSet, changes: readonly Change[]): Promise<string[]> {
  const asked = new Map<string, string>()
  for (const change of changes) for (const [address, what] of addressesOf(change)) asked.set(address, what)
  const gone = goneAddresses(changes)
  if (gone.length > 0) for (const { key } of await entriesNaming(changeSet.queries, gone)) asked.set(key, key)
  if (asked.size === 0 || asked.size > maxAsked) return []
  const ground = await partialDirectoryFor(changeSet, [...asked.keys()])
  if (!ground) return []
  return [...new Set([...asked].flatMap(([address, what]) => aboutAddress(ground, address, what)))].slice(0, maxSaid)
}

/** Changes that touch more addresses than this are not checked. */
const maxAsked = 2000
const maxSaid = 50

const addressKinds: readonly string[] = ['account', 'alias', 'group']

/** Yields each address that a change affects, with the name of what uses it. */
function* addressesOf({ kind, key, id, before, after }: Change): Generator<[address: string, what: string]> {
  const value = parsed(after)
  if (!value) return
  if (addressKinds.includes(kind)) yield [key, key]
  if (kind === 'domain' && value.catchAll) yield [String(value.catchAll), `the catch-all of ${key}`]
  if (kind !== 'settings') return
  for (const name of ['postmaster', 'dailyReport'])
    if (value[name] && value[name] !== parsed(before)?.[name]) yield [String(value[name]), `${id}.${name}`]
}

/** Returns addresses that no longer exist. */
function goneAddresses(changes: readonly Change[]): string[] {
  return changes
    .filter(({ kind, key, before, after }) => {
      if (before === null || !addressKinds.includes(kind)) return false
      return after === null || parsed(before)?.address !== key
    })
    .map(({ before }) => String(parsed(before)?.address))
}

function aboutAddress(ground: PartialDirectory, address: string, what: string): string[] {
  const { local, domain } = splitAddress(address)
  const own = ground.directory.domains.get(domain)
  if (!own)
    return what === address
      ? [`${domain} is not a domain of this server. Until you add it, no mail reaches ${address}.`]
      : []
  const { kind, because, leftOut } = expand({ local, domain: own.name }, address, ground)
  if (kind !== 'found')
    return [`${what} does not reach any mailbox${what === address ? '' : `: ${address}`}: ${because}`]
  return leftOut.map((sentence) => `${what} does not reach everyone: ${sentence}`)
}
