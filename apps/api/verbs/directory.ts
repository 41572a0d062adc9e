import { certificateInputSchema } from '@postern/contract/certificates.ts'
import {
  accountInputSchema,
  aliasInputSchema,
  dkimKeyInputSchema,
  domainInputSchema,
  groupInputSchema,
} from '@postern/contract/directory.ts'
import { describeIssues } from '@postern/contract/input-errors.ts'
import type { RowValues } from '@postern/contract/rows.ts'
import { isSecret, keepSecrets, secretPlaces } from '@postern/contract/secrets.ts'
import type { WriteResult } from '@postern/contract/views.ts'
import type { ChangeSet } from '@postern/store/control/change-set.ts'
import { headRevision } from '@postern/store/control/revisions.ts'
import { getRow, listRows } from '@postern/store/control/rows.ts'
import { withoutSecrets } from '@postern/store/control/secrets.ts'
import type { Queries } from '@postern/store/database.ts'
import type { z } from 'zod'
import { renewCertificates } from '../certificates.ts'
import { refuseContradictions } from '../contradictions.ts'
import { makeDkimKey } from '../dkim.ts'
import { afterCursor, type PageQuery, pageOf } from '../pagination.ts'
import { invalid, notFound } from '../problem.ts'
import { type Call, writeRevision } from '../write-revision.ts'
import { certificateRow, certificateViews, warnOfCertificate } from './certificates.ts'
import { merge, refuseNulls } from './settings.ts'

/** Domains, accounts, aliases, groups, certificates and DKIM keys: six kinds that share one set of verbs. */

type Json = Record<string, unknown>
export type DirectoryKind = 'domain' | 'account' | 'alias' | 'group' | 'certificate' | 'dkim-key'

type DirectoryKindActions = {
  schema: z.ZodObject
  /** Turns client input into the row that the workers get. `before` is the current row. */
  row: (call: Call, input: Json, before: Json | undefined) => Promise<Json>
  /** Returns warnings to show after a successful write. */
  warn?: (call: Call, changeSet: ChangeSet, value: Json) => Promise<string[]>
  /** Runs after the row is saved. */
  saved?: (call: Call) => void
}

const asItIs = async (_: Call, input: Json) => input

export const directoryKinds: { [kind in DirectoryKind]: DirectoryKindActions } = {
  domain: { schema: domainInputSchema, row: asItIs },
  account: {
    schema: accountInputSchema,
    row: async ({ parts }, { secret, ...account }, before) => ({
      ...account,
      secretHash: typeof secret === 'string' ? await parts.passwords.hash(secret) : before?.secretHash,
    }),
  },
  alias: { schema: aliasInputSchema, row: asItIs },
  group: { schema: groupInputSchema, row: asItIs },
  certificate: {
    schema: certificateInputSchema,
    row: certificateRow,
    warn: async (call, _, value) => warnOfCertificate(call, value),
    saved: ({ parts }) => parts.background(renewCertificates(parts)),
  },
  'dkim-key': {
    schema: dkimKeyInputSchema,
    row: async (_, input, before) => ({ ...input, ...(await makeDkimKey(input as never, before as never)) }),
  },
}

export async function readDirectory({ parts }: Call, kind: DirectoryKind, { limit, cursor, q }: PageQuery) {
  const found = await listRows(parts.control, kind, { limit: limit + 1, after: afterCursor(cursor), q })
  const view = await viewer(parts.control, parts.now(), kind)
  const page = pageOf(found, { limit, key: ({ key }) => key, view: ({ id, value }) => view(id, JSON.parse(value)) })
  return {
    items: await Promise.all(page.items),
    nextCursor: page.nextCursor,
    revision: await headRevision(parts.control),
  }
}

export async function readOne({ parts }: Call, kind: DirectoryKind, id: string): Promise<Response> {
  const row = await getRow(parts.control, kind, id)
  if (!row) throw notFound(`${kind} ${id}`)
  const revision = await headRevision(parts.control)
  const view = await viewer(parts.control, parts.now(), kind)
  return Response.json(await view(id, JSON.parse(row.value)), {
    headers: { etag: `"${revision}"`, 'cache-control': 'no-store' },
  })
}

/** Returns a function that turns a row's value into its view. */
async function viewer(queries: Queries, now: number, kind: DirectoryKind) {
  const certificates = kind === 'certificate' ? await certificateViews(queries, now) : undefined
  return async (id: string, value: Json): Promise<Json> => {
    const open = withoutSecrets({ kind, id }, value) as Json
    return certificates ? certificates(id, open) : { id, ...open }
  }
}

async function write(
  call: Call,
  { kind, action }: { kind: DirectoryKind; action: 'create' | 'change' | 'delete' },
  work: Parameters<typeof writeRevision>[2],
): Promise<WriteResult> {
  const result = await writeRevision(call, { action: `${kind}.${action}` }, work)
  if (!call.write.dryRun) directoryKinds[kind].saved?.(call)
  return result
}

export function makeOne(call: Call, kind: DirectoryKind, input: Json): Promise<WriteResult> {
  return write(call, { kind, action: 'create' }, async (changeSet) => {
    const id = call.parts.newId()
    const value = await directoryKinds[kind].row(call, checked(kind, input), undefined)
    return put({ call, changeSet, kind, id, value })
  })
}

/** Applies a merge patch. Secrets that the patch omits are kept. */
export function changeOne(
  call: Call,
  { kind, id }: { kind: DirectoryKind; id: string },
  patch: Json,
): Promise<WriteResult> {
  refuseNulls(patch)
  return write(call, { kind, action: 'change' }, async (changeSet) => {
    const before = (await changeSet.get(kind, id))?.value as Json | undefined
    if (!before) throw notFound(`${kind} ${id}`)
    const input = keepSecrets(
      merge(inputOf(kind, before, patch), patch),
      before,
      secretPlaces(directoryKinds[kind].schema),
    )
    return put({
      call,
      changeSet,
      kind,
      id,
      value: await directoryKinds[kind].row(call, checkedPatch(kind, input), before),
    })
  })
}

/** Returns the input that would produce this row, as far as it can be read back. */
function inputOf(kind: DirectoryKind, before: Json, patch: Json): Json {
  const known = Object.keys(directoryKinds[kind].schema.shape)
  const input = Object.fromEntries(Object.entries(before).filter(([key]) => known.includes(key)))
  // A route of another type has other fields, so it is replaced and not merged.
  const route = patch.route as Json | undefined
  if (kind === 'domain' && route?.type !== undefined && route.type !== (before.route as Json).type) delete input.route
  const source = patch.source as Json | undefined
  if (kind === 'certificate' && source?.type !== undefined && source.type !== (before.source as Json | undefined)?.type)
    delete input.source
  return input
}

function checked(kind: DirectoryKind, input: Json): Json {
  const { schema } = directoryKinds[kind]
  const result = schema.safeParse(input)
  if (!result.success) throw invalid(describeIssues(result.error, input, schema))
  return result.data as Json
}

/** Like `checked`, but a secret may be missing: the stored one is kept. */
function checkedPatch(kind: DirectoryKind, input: Json): Json {
  const { schema } = directoryKinds[kind]
  const missing = Object.keys(schema.shape).filter((key) => isSecret(schema.shape[key] ?? null) && !(key in input))
  const kept = schema.omit(Object.fromEntries(missing.map((key) => [key, true])) as Record<string, never>)
  const result = kept.safeParse(input)
  if (!result.success) throw invalid(describeIssues(result.error, input, schema))
  return result.data as Json
}

type Put = { call: Call; changeSet: ChangeSet; kind: DirectoryKind; id: string; value: Json }

async function put({ call, changeSet, kind, id, value }: Put) {
  await changeSet.put(kind, id, value as unknown as RowValues[DirectoryKind])
  await refuseContradictions(changeSet)
  const warnings = (await directoryKinds[kind].warn?.(call, changeSet, value)) ?? []
  const view = await viewer(changeSet.queries, call.parts.now(), kind)
  return { answer: { id, item: await view(id, value) }, warnings }
}

export function removeOne(call: Call, kind: DirectoryKind, id: string): Promise<WriteResult> {
  return write(call, { kind, action: 'delete' }, async (changeSet) => {
    if (!(await changeSet.remove(kind, id))) throw notFound(`${kind} ${id}`)
    await refuseContradictions(changeSet)
    return {}
  })
}
