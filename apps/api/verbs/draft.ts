import type { DraftInput } from '@postern/contract/draft.ts'
import { type ListInput, type ListName, listNames } from '@postern/contract/lists.ts'
import { type SettingGroup, settingGroupNames } from '@postern/contract/settings.ts'
import type { Change } from '@postern/store/control/change.ts'
import type { ChangeSet } from '@postern/store/control/change-set.ts'
import { commit } from '@postern/store/control/revisions.ts'
import { refuseContradictions } from '../contradictions.ts'
import { type FieldError, invalid, ProblemError } from '../problem.ts'
import type { Call } from '../write-revision.ts'
import { entryWithSecrets, takeList, takeSection } from './document.ts'
import { stored } from './lists.ts'
import { merge, putGroup } from './settings.ts'

type Json = Record<string, unknown>
const sections = { domains: 'domain', aliases: 'alias', groups: 'group' } as const
type Section = keyof typeof sections

export type DraftChanges = { revision: number; changes: Change[] }

/**
 * Returns the rows that saving the draft would change. Validates it as a save does, in a transaction that is rolled
 * back. Throws the 422 that saving would answer, with paths that begin with `draft`.
 */
export async function changesOfDraft({ parts, who }: Call, draft: DraftInput): Promise<DraftChanges> {
  const options = { seal: parts.seal, now: parts.now(), id: parts.newId(), actor: who.actor, action: 'draft' }
  const call = { parts, who } as Call
  const { revision, changes } = await commit(parts.control, { ...options, dryRun: true }, async (rows) => {
    for (const group of settingGroupNames) await takePatch(rows, group, draft.settings?.[group])
    for (const list of listNames) await takeEntries(call, rows, list, draft.lists?.[list])
    for (const section of Object.keys(sections) as Section[]) await takePart(call, rows, section, draft[section])
    await within('draft', () => refuseContradictions(rows))
  })
  return { revision, changes }
}

async function takePatch(rows: ChangeSet, group: SettingGroup, patch: Json | undefined): Promise<void> {
  if (!patch) return
  const before = ((await rows.get('settings', group))?.value ?? {}) as Json
  await putGroup(rows, group, merge(before, patch), `draft.settings.${group}`)
}

type Changes<T> = T[] | { add?: T[] | undefined; remove?: string[] | undefined }

async function takeEntries(
  call: Call,
  rows: ChangeSet,
  list: ListName,
  given: Changes<ListInput> | undefined,
): Promise<void> {
  if (!given) return
  if (Array.isArray(given)) return takeList(call, rows, { list, entries: given, root: 'draft' })
  await remove(rows, list, { values: given.remove, root: `draft.lists.${list}` })
  for (const entry of given.add ?? []) {
    const value = await within(`draft.lists.${list}`, async () => stored(call, entry))
    await rows.put(list, (await rows.byKey(list, value.value))?.id ?? call.parts.newId(), value)
  }
}

async function takePart(
  call: Call,
  rows: ChangeSet,
  section: Section,
  given: Changes<Json> | undefined,
): Promise<void> {
  if (!given) return
  const kind = sections[section]
  if (Array.isArray(given)) return takeSection(call, rows, { kind, section, values: given, root: 'draft' })
  await remove(rows, kind, { values: given.remove, root: `draft.${section}` })
  for (const value of given.add ?? []) {
    const key = String(value[kind === 'domain' ? 'name' : 'address'])
    const before = await rows.byKey(kind, key)
    const next = entryWithSecrets(kind, { value, before: before?.value, root: `draft.${section}.${key}` })
    await rows.put(kind, before?.id ?? call.parts.newId(), next as never)
  }
}

async function remove(
  rows: ChangeSet,
  kind: ListName | (typeof sections)[Section],
  { values = [], root }: { values: string[] | undefined; root: string },
): Promise<void> {
  for (const [i, value] of values.entries()) {
    const found = await rows.byKey(kind, value)
    if (!found)
      throw invalid([
        { path: `${root}.remove.${i}`, message: `remove.${i} is "${value.slice(0, 80)}", which is not in ${kind}` },
      ])
    await rows.remove(kind, found.id)
  }
}

/** Prefixes validation error paths with their place in the draft. */
async function within<T>(root: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof ProblemError) || !error.errors) throw error
    throw invalid(
      error.errors.map(({ path, message }): FieldError => ({ path: [root, path].filter(Boolean).join('.'), message })),
    )
  }
}
