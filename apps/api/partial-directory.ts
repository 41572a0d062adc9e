import { foldLocal } from '@postern/contract/address.ts'
import { namesOf } from '@postern/contract/directory.ts'
import { generalSchema } from '@postern/contract/settings/general.ts'
import type { AdvancedSettings, GeneralSettings } from '@postern/contract/settings.ts'
import {
  addAccount,
  addAlias,
  addDomain,
  addGroup,
  type Directory,
  emptyDirectory,
  splitAddress,
  withoutBox,
} from '@postern/policy/directory.ts'
import type { PartialDirectory } from '@postern/policy/expand.ts'
import type { ChangeSet } from '@postern/store/control/change-set.ts'
import { entriesAt } from '@postern/store/control/directory.ts'

/** Loads the part of the drafted directory that the given addresses lead to, so that they can be expanded. */

/** Stop following after this many addresses. */
const maxAddresses = 60_000

type Entry = { kind: string; value: string }

/** @returns `undefined` if there are too many addresses */
export async function partialDirectoryFor(
  changeSet: ChangeSet,
  addresses: readonly string[],
): Promise<PartialDirectory | undefined> {
  const directory = emptyDirectory()
  for (const { value } of await changeSet.all('domain')) addDomain(directory, value)
  const general = generalSchema.parse((await changeSet.get('settings', 'general'))?.value ?? {})
  const advanced = (await changeSet.get('settings', 'advanced'))?.value as AdvancedSettings | undefined
  const mailboxDelimiter = advanced?.mailboxDelimiter ?? ''
  const seen = new Set<string>()
  let waiting = [...addresses, ...followedAnyway(directory, general)]
  while (waiting.length > 0) {
    const keys = waiting
      .flatMap((address) => spellings(directory, address, mailboxDelimiter))
      .filter((key) => !seen.has(key))
    for (const key of keys) seen.add(key)
    if (seen.size > maxAddresses) return undefined
    const found = keys.length > 0 ? await entriesAt(changeSet.queries, keys) : []
    waiting = found.flatMap((entry) => added(directory, entry))
  }
  return { directory, settings: { general, advanced: { mailboxDelimiter } } }
}

function followedAnyway({ domains }: Directory, { postmaster }: GeneralSettings): string[] {
  return [postmaster, ...[...new Set(domains.values())].map(({ catchAll }) => catchAll)].filter((text) => text !== '')
}

/**
 * Returns the keys of possible entries for the address: with and without its mailbox suffix, under each name of its
 * domain.
 */
function spellings({ domains }: Directory, address: string, mailboxDelimiter: string): string[] {
  const { local, domain } = splitAddress(address)
  const own = domains.get(domain)
  if (!own) return []
  const locals = new Set([foldLocal(local), withoutBox(local, mailboxDelimiter)])
  return [...locals].flatMap((one) => namesOf(own).map((name) => `${one}@${name}`))
}

/** Adds the entry. @returns the addresses it leads to */
function added(directory: Directory, { kind, value }: Entry): readonly string[] {
  const entry = JSON.parse(value)
  switch (kind) {
    case 'account':
      addAccount(directory, entry)
      return entry.forwardTo ?? []
    case 'alias':
      addAlias(directory, entry)
      return entry.to
    default:
      addGroup(directory, entry)
      return entry.members
  }
}
