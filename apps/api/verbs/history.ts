import { systemHistoryDays } from '@postern/contract/schedule.ts'
import type { RevisionView, WriteResult } from '@postern/contract/views.ts'
import { restore } from '@postern/store/control/restore.ts'
import { type Conflict, revert } from '@postern/store/control/revert.ts'
import {
  changesAnyOf,
  changesBetween,
  getRevision,
  headRevision,
  keptNear,
  listAudit,
  listRevisions,
  type RevisionRow,
} from '@postern/store/control/revisions.ts'
import { refuseContradictions } from '../contradictions.ts'
import type { Dependencies } from '../dependencies.ts'
import { afterCursor, iso, numberCursor, type PageQuery, pageOf } from '../pagination.ts'
import { invalid, ProblemError } from '../problem.ts'
import { type Call, diffOf, writeRevision } from '../write-revision.ts'

const maxShown = 1000

export async function readRevisions({ parts }: Call, { limit, cursor, q }: PageQuery) {
  const found = await listRevisions(parts.control, { limit: limit + 1, before: numberCursor(cursor), q })
  return pageOf(found, { limit, key: ({ revision }) => revision, view: revisionView })
}

function revisionView({ revision, at, actor, comment, changes, summary, rolledBackTo }: RevisionRow): RevisionView {
  return {
    revision,
    at: iso(at),
    actor,
    ...(comment === null ? {} : { comment }),
    changes,
    summary,
    ...(rolledBackTo === null ? {} : { rolledBackTo }),
  }
}

/** Returns what the revision changed, or how it differs from another one. */
export async function readRevision({ parts }: Call, revision: number, against: number | undefined) {
  const row = await keptRevision(parts, revision)
  const other = against ?? revision - 1
  if (other > (await headRevision(parts.control)))
    throw invalid([{ path: 'against', message: `against is ${other}, which does not exist yet` }])
  const found = await changesBetween(parts.control, Math.min(other, revision), Math.max(other, revision), maxShown)
  const turned =
    other > revision ? found.map((change) => ({ ...change, before: change.after, after: change.before })) : found
  return { ...revisionView(row), against: other, diff: await Promise.all(turned.map(diffOf)) }
}

/** Throws 404 if the revision does not exist, and 410 if its history was removed. */
async function keptRevision({ control }: Dependencies, revision: number): Promise<RevisionRow> {
  const row = await getRevision(control, revision)
  if (row) return row
  if (revision > (await headRevision(control))) throw new ProblemError(404, `Revision ${revision} does not exist yet.`)
  const { earlier, later } = await keptNear(control, revision)
  throw new ProblemError(
    410,
    `Revision ${revision} is no longer kept. The system made it (an automatic block or its end), and automatic changes are removed from the history after ${systemHistoryDays} days. Settings, directory and lists were the same as in revision ${earlier}. The next revision still available is ${later}.`,
  )
}

/** A rollback does not change whether services run, and cannot undo orders that were carried out. */
const notUndone = ['service', 'order'] as const

/**
 * Writes a new revision that restores every row as of `revision`. Services keep their state, and orders are not
 * repeated. Users are not rows and do not change.
 */
export async function rollback(call: Call, revision: number): Promise<WriteResult> {
  await keptRevision(call.parts, revision)
  const about = { action: 'rollback', kind: 'revision', entity: String(revision), rolledBackTo: revision }
  return writeRevision(call, about, async (changeSet) => {
    await restore(changeSet, revision, notUndone)
    return { answer: { rolledBackTo: revision } }
  })
}

/**
 * Writes a new revision that undoes only this one. Unless `force` is set, throws 409 with the rows that have changed
 * since.
 */
export async function revertRevision(call: Call, revision: number, force: boolean): Promise<WriteResult> {
  const { control } = call.parts
  await keptRevision(call.parts, revision)
  if (revision === 1)
    throw invalid([{ path: 'revision', message: 'revision 1 is the first one, so it cannot be undone' }])
  if (!(await changesAnyOf(control, revision, notUndone)))
    throw invalid([
      {
        path: 'revision',
        message: `revision ${revision} changed no settings, lists or directory entries; starts, stops, orders, users and tokens cannot be undone`,
      },
    ])
  const about = { action: 'revert', kind: 'revision', entity: String(revision) }
  return writeRevision(call, about, async (changeSet) => {
    const conflicts = await revert(changeSet, { revision, except: notUndone, force })
    if (conflicts.length > 0 && !force) throw changedSince(revision, conflicts)
    await refuseContradictions(changeSet)
    return { answer: { reverted: revision } }
  })
}

function changedSince(revision: number, conflicts: Conflict[]): ProblemError {
  const errors = conflicts.map(({ kind, key, detail }) => ({ path: `${kind} ${key}`, message: detail }))
  const detail = `Rows that revision ${revision} changed have changed again since. To undo it anyway, send {"force": true}.`
  return new ProblemError(409, detail, { errors })
}

export async function readAudit({ parts }: Call, { limit, cursor, q }: PageQuery) {
  const found = await listAudit(parts.control, { limit: limit + 1, before: afterCursor(cursor), q })
  return pageOf(found, {
    limit,
    key: ({ id }) => id,
    view: ({ id, at, actor, action, kind, entity, revision, comment, address }) => ({
      id,
      at: iso(at),
      actor,
      action,
      kind,
      entity,
      ...(revision === null ? {} : { revision }),
      ...(comment === null ? {} : { comment }),
      ...(address === null ? {} : { address }),
    }),
  })
}
