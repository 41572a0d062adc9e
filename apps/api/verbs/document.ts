import { type Document, documentSchema, documentVersion } from '@postern/contract/document.ts'
import { describeIssues } from '@postern/contract/input-errors.ts'
import { type ListInput, type ListName, listNames } from '@postern/contract/lists.ts'
import { type RowKind, schemaOf, secretsOf } from '@postern/contract/rows.ts'
import { keepSecrets } from '@postern/contract/secrets.ts'
import { type SettingGroup, settingGroupNames } from '@postern/contract/settings.ts'
import type { RowDiff, WriteResult } from '@postern/contract/views.ts'
import type { ChangeSet } from '@postern/store/control/change-set.ts'
import { headRevision } from '@postern/store/control/revisions.ts'
import { allRows } from '@postern/store/control/rows.ts'
import { withoutSecrets } from '@postern/store/control/secrets.ts'
import { parse, stringify } from 'yaml'
import { refuseContradictions } from '../contradictions.ts'
import { invalid } from '../problem.ts'
import { type Call, writeRevision } from '../write-revision.ts'
import { stored } from './lists.ts'
import { putGroup } from './settings.ts'

/** Settings as code: exports the whole configuration as one document, plans a change to it, and applies it. */

type Json = Record<string, unknown>
const sections = { domains: 'domain', aliases: 'alias', groups: 'group' } as const

async function readDocument({ parts }: Call): Promise<Document> {
  const read = async (kind: RowKind) =>
    Promise.all(
      (await allRows(parts.control, kind)).map(async ({ id, value }) => ({
        id,
        value: withoutSecrets({ kind, id }, JSON.parse(value)) as Json,
      })),
    )
  const settings = Object.fromEntries((await read('settings')).map(({ id, value }) => [id, value]))
  const lists: Json = {}
  for (const list of listNames)
    lists[list] = (await read(list))
      .filter(({ value }) => !isOfSystem(value.createdBy))
      .map(({ value: { createdBy, createdAt, ...entry } }) => entry)
  const values = async (kind: RowKind) => (await read(kind)).map(({ value }) => value)
  return {
    postern: documentVersion,
    settings,
    lists,
    domains: await values('domain'),
    aliases: await values('alias'),
    groups: await values('group'),
  } as Document
}

export async function documentResponse(call: Call, format: 'json' | 'yaml'): Promise<Response> {
  const revision = await headRevision(call.parts.control)
  const document = await readDocument(call)
  const isYaml = format === 'yaml'
  return new Response(isYaml ? stringify(document, { lineWidth: 0 }) : JSON.stringify(document, null, 2), {
    headers: {
      'content-type': isYaml ? 'application/yaml' : 'application/json',
      etag: `"${revision}"`,
      'cache-control': 'no-store',
    },
  })
}

/** Parses the document, given as an object or as YAML or JSON text. Throws 422. */
export function parseDocument(given: unknown): Document {
  const value = typeof given === 'string' ? fromText(given) : given
  const result = documentSchema.safeParse(value)
  if (result.success) return result.data
  const issues = describeIssues(result.error, value, documentSchema)
  throw invalid(issues.map(({ path, message }) => ({ path: ['document', path].filter(Boolean).join('.'), message })))
}

function fromText(text: string): unknown {
  try {
    return parse(text, { maxAliasCount: 100, merge: false })
  } catch (error) {
    throw invalid([{ path: 'document', message: `document is not YAML: ${(error as Error).message.split('\n')[0]}` }])
  }
}

/** Returns what applying the document would change. */
export async function plan(call: Call, document: Document) {
  const result = await write({ ...call, write: { ...call.write, dryRun: true } }, document)
  return { ...sorted(result.diff), revision: result.revision, warnings: result.warnings }
}

export async function apply(call: Call, document: Document): Promise<WriteResult> {
  const result = await write(call, document)
  return { ...result, ...sorted(result.diff) }
}

function sorted(diff: RowDiff[]) {
  return {
    creates: diff.filter(({ before }) => before === null),
    updates: diff.filter(({ before, after }) => before !== null && after !== null),
    deletes: diff.filter(({ after }) => after === null),
  }
}

function write(call: Call, document: Document): Promise<WriteResult> {
  return writeRevision(call, { action: 'document.apply', kind: 'document', entity: 'document' }, async (changeSet) => {
    for (const group of settingGroupNames)
      if (document.settings?.[group]) await takeGroup(changeSet, group, document.settings[group] as Json)
    for (const list of listNames)
      if (document.lists?.[list]) await takeList(call, changeSet, { list, entries: document.lists[list] })
    for (const [section, kind] of Object.entries(sections)) {
      const values = document[section as keyof typeof sections] as Json[] | undefined
      if (values) await takeSection(call, changeSet, { kind, section, values })
    }
    await refuseContradictions(changeSet)
    return {}
  })
}

/** Documents hold no secrets, so the stored ones are kept. */
async function takeGroup(changeSet: ChangeSet, group: SettingGroup, value: Json): Promise<void> {
  const before = (await changeSet.get('settings', group))?.value as Json | undefined
  const kept = keepSecrets(value, before, secretsOf({ kind: 'settings', id: group }))
  await putGroup(changeSet, group, kept, `document.settings.${group}`)
}

/** Returns a document entry with the secrets of the existing row. Throws 422 if a required secret is missing. */
export function entryWithSecrets(
  kind: RowKind,
  { value, before, root }: { value: Json; before: unknown; root: string },
): Json {
  const row = { kind, id: '' }
  const kept = keepSecrets(value, before as Json | undefined, secretsOf(row))
  const schema = schemaOf(row)
  const result = schema.safeParse(kept)
  if (result.success) return result.data as Json
  throw invalid(
    describeIssues(result.error, kept, schema).map(({ path, message }) => ({ path: `${root}.${path}`, message })),
  )
}

export async function takeList(
  call: Call,
  changeSet: ChangeSet,
  { list, entries, root = 'document' }: { list: ListName; entries: ListInput[]; root?: string },
): Promise<void> {
  const wanted = new Map(entries.map((entry) => [entry.value, entry]))
  if (wanted.size < entries.length)
    throw invalid([{ path: `${root}.lists.${list}`, message: `${list} contains the same value twice` }])
  for (const { id, value } of await changeSet.all(list)) {
    // Automatic blocks are not part of a document. It neither lists nor removes them, unless it names the address
    // itself.
    if (isOfSystem(value.createdBy) && !wanted.has(value.value)) continue
    const entry = wanted.get(value.value)
    wanted.delete(value.value)
    if (!entry) await changeSet.remove(list, id)
    else {
      const { createdBy, createdAt } = value
      const next = { ...stored(call, entry), createdBy, createdAt }
      if (JSON.stringify(sortKeys(next)) !== JSON.stringify(sortKeys(value))) await changeSet.put(list, id, next)
    }
  }
  for (const entry of wanted.values()) await changeSet.put(list, call.parts.newId(), stored(call, entry))
}

const isOfSystem = (createdBy: unknown) => String(createdBy).startsWith('system:')

const sortKeys = (value: object) => Object.entries(value).sort()

type Section = { kind: 'domain' | 'alias' | 'group'; section: string; values: Json[]; root?: string }

export async function takeSection(
  call: Call,
  changeSet: ChangeSet,
  { kind, section, values, root = 'document' }: Section,
): Promise<void> {
  const name = kind === 'domain' ? 'name' : 'address'
  const wanted = new Map(values.map((value) => [String(value[name]), value]))
  if (wanted.size < values.length)
    throw invalid([{ path: `${root}.${section}`, message: `${section} contains the same ${name} twice` }])
  for (const { id, value } of await changeSet.all(kind)) {
    const key = String((value as unknown as Json)[name])
    const next = wanted.get(key)
    wanted.delete(key)
    const place = `${root}.${section}.${key}`
    if (next)
      await changeSet.put(kind, id, entryWithSecrets(kind, { value: next, before: value, root: place }) as never)
    else await changeSet.remove(kind, id)
  }
  for (const [key, value] of wanted) {
    const whole = entryWithSecrets(kind, { value, before: undefined, root: `${root}.${section}.${key}` })
    await changeSet.put(kind, call.parts.newId(), whole as never)
  }
}
