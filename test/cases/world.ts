import { aliasInputSchema, domainInputSchema, groupInputSchema } from '@postern/contract/directory.ts'
import type { DraftInput } from '@postern/contract/draft.ts'
import { listNames } from '@postern/contract/lists.ts'
import { emptyReplica, type Replica } from '@postern/contract/rows.ts'
import { defaultSettings, type SettingGroup, settingGroupNames, settingGroups } from '@postern/contract/settings.ts'

/** The base of every case: example.org with two accounts, an alias and a group; nobody relays; look-ups decide nothing. */

export const accounts = ['jane@example.org', 'bob@example.org'] as const
export const password = 'a password that is long enough'
/** Cases connect from here with a PROXY header, so they can have any client address. */
export const balancer = '127.0.0.50'
/** The servers that a worker asks about recipients and messages. On a live worker, the port is that of the run. */
export const asked = '127.0.0.51'

type Json = Record<string, unknown>
export type World = {
  settings: Record<SettingGroup, Json>
  lists: Record<(typeof listNames)[number], Json[]>
  domains: Json[]
  aliases: Json[]
  groups: Json[]
}

const base = {
  settings: { general: { hostname: 'mx.test' }, advanced: { proxyProtocol: [balancer] } } as Partial<World['settings']>,
  domains: [{ name: 'example.org', aliases: ['example.net'] }],
  aliases: [{ address: 'sales@example.org', to: ['jane@example.org'] }],
  groups: [{ address: 'all@example.org', members: [...accounts] }],
}

/** Returns the world with the values of a case, as a complete document. */
export function worldOf(given: DraftInput): World {
  const settings = Object.fromEntries(
    settingGroupNames.map((group) => [
      group,
      settingGroups[group].schema.parse({ ...base.settings[group], ...given.settings?.[group] }),
    ]),
  )
  const lists = Object.fromEntries(listNames.map((list) => [list, given.lists?.[list] ?? []]))
  return {
    settings,
    lists,
    domains: (given.domains ?? base.domains) as Json[],
    aliases: (given.aliases ?? base.aliases) as Json[],
    groups: (given.groups ?? base.groups) as Json[],
  } as unknown as World
}

/** Returns the same as rows, as a worker has it. */
export function replicaOf(world: World): Replica {
  const replica = emptyReplica()
  const defaults = defaultSettings()
  for (const group of settingGroupNames)
    replica.settings.set(group, { ...defaults[group], ...world.settings[group] } as never)
  for (const list of listNames)
    for (const [i, entry] of world.lists[list].entries())
      replica[list].set(`${i}`, { ...entry, createdBy: 'case', createdAt: '2026-01-01T00:00:00Z' } as never)
  for (const domain of world.domains) replica.domain.set(String(domain.name), domainInputSchema.parse(domain))
  for (const alias of world.aliases) replica.alias.set(String(alias.address), aliasInputSchema.parse(alias))
  for (const group of world.groups) replica.group.set(String(group.address), groupInputSchema.parse(group))
  for (const address of accounts)
    replica.account.set(address, { address, login: '', secretHash: '', disabled: false } as never)
  return replica
}
