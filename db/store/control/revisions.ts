import type { RowKind } from '@postern/contract/rows.ts'
import type { RevisionName } from '@postern/contract/worker-protocol.ts'
import { and, desc, eq, getTableColumns, gt, lt, lte, max, not, or, type SQL, type SQLWrapper, sql } from 'drizzle-orm'
import { type Database, includes, isAmong, type Queries, yieldToEventLoop } from '../database.ts'
import type { Seal } from '../seal.ts'
import { insertChanges } from './bulk.ts'
import type { Change } from './change.ts'
import { ChangeSet } from './change-set.ts'
import { hashOf } from './revision-id.ts'
import { audit, changes, revisions } from './tables.ts'

/** The numbered history. Each write transaction is one revision. */

export class StaleError extends Error {
  override name = 'StaleError'
  readonly revision: number
  constructor(expected: number, revision: number) {
    super(`The newest revision is ${revision}; the request was made for ${expected}`)
    this.revision = revision
  }
}

export type CommitOptions = {
  seal: Seal
  now: number
  id: string
  actor: string
  action: string
  /** The kind for the audit log. Absent: the kind of the first changed row. */
  kind?: string | undefined
  entity?: string | undefined
  comment?: string | undefined
  /** The address that the request came from. */
  address?: string | undefined
  /** The revision that the caller has seen. If it is not current, a StaleError is thrown. */
  expected?: number | undefined
  dryRun?: boolean | undefined
  rolledBackTo?: number | undefined
  /** Create a revision even if no row changed, because users and tokens are not rows. */
  always?: boolean | undefined
}

/** `changes`: all changes, except that bulk additions have only examples. `count` counts all. */
export type Committed<T> = { revision: number; changes: Change[]; count: number; result: T }

class Undone extends Error {
  readonly committed: unknown
  constructor(committed: unknown) {
    super('dry run')
    this.committed = committed
  }
}

/**
 * Runs `work` in one write transaction and appends its changes as a revision. If nothing changed, no revision is
 * created and the newest one is returned. `last` runs in the same transaction when all changes are known. A dry run
 * does the same and rolls back.
 */
export async function commit<T>(
  database: Database,
  options: CommitOptions,
  work: (changeSet: ChangeSet) => Promise<T>,
  last?: (queries: Queries, committed: Committed<T>) => Promise<void>,
): Promise<Committed<T>> {
  try {
    return await database.transaction(async (queries) => {
      const { revision: head, id: before } = await headOf(queries)
      if (options.expected !== undefined && (await isStale(queries, options.expected, head)))
        throw new StaleError(options.expected, head)
      const changeSet = new ChangeSet(queries, head + 1, options.seal)
      const result = await work(changeSet)
      const count = changeSet.changes.length + changeSet.bulk
      const isNew = count > 0 || options.always === true
      if (isNew) await append(queries, changeSet, { ...options, before })
      const revision = isNew && !options.dryRun ? head + 1 : head
      const committed = { revision, changes: [...changeSet.examples, ...changeSet.changes], count, result }
      if (options.dryRun) throw new Undone(committed)
      await last?.(queries, committed)
      return committed
    })
  } catch (error) {
    if (error instanceof Undone) return error.committed as Committed<T>
    throw error
  }
}

/**
 * Returns whether a person changed something since. Changes by the system itself (blocking an attacker's address,
 * removing an expired entry) do not count: they do not overwrite any user's work, and they must not keep administrators
 * from saving during an attack.
 */
async function isStale(queries: Queries, expected: number, head: number): Promise<boolean> {
  if (expected >= head) return expected > head
  const { revision, actor } = revisions
  const other = await queries
    .select({ revision })
    .from(revisions)
    .where(and(gt(revision, expected), not(bySystem(actor))))
    .limit(1)
    .get()
  return other !== undefined
}

/** Matches actors that are the system itself. */
export const bySystem = (actor: SQLWrapper): SQL => sql`(${actor} = 'system' or ${actor} like 'system:%')`

async function append(
  queries: Queries,
  changeSet: ChangeSet,
  options: CommitOptions & { before: string },
): Promise<void> {
  const { revision, changes, bulk } = changeSet
  for (let from = 0; from < changes.length; from += 500) {
    await insertChanges(queries, { revision, seq: bulk + from + 1 }, changes.slice(from, from + 500))
    if (from > 0) await yieldToEventLoop()
  }
  const count = changes.length + bulk
  const shown = [...changeSet.examples, ...changes]
  const summary = summaryOf(shown, count, { ...options, entity: changeSet.entity ?? options.entity })
  const { before, id: nonce, now, actor, action } = options
  // The fresh `nonce` separates two revisions with the same content, which two copies of a database may create.
  const id = await hashOf([before, nonce, revision, now, actor, action, changeSet.bulkHash, changes])
  const { comment, rolledBackTo } = options
  await queries
    .insert(revisions)
    .values({ revision, id, at: now, actor, action, comment, changes: count, summary, rolledBackTo })
  await recordAudit(queries, {
    ...options,
    kind: options.kind ?? shown[0]?.kind ?? '',
    entity: changeSet.entity ?? options.entity ?? namesOf(shown, count),
    address: options.address,
    revision,
  })
}

const maxNames = 20

/** Lists the names of the changed rows: all if there are few, else the first ones. */
function namesOf(changes: readonly Change[], count: number): string {
  const names = changes.slice(0, maxNames).map(({ key }) => key)
  if (count > names.length) names.push(`and ${count - names.length} more`)
  return names.join(', ').slice(0, 1000)
}

/** Describes the changes in words, e.g. `settings general: maxMessageBytes`. */
function summaryOf(changes: Change[], count: number, options: CommitOptions): string {
  const words = changes.slice(0, 3).map(({ kind, key, before, after }) => {
    if (kind === 'settings') return `settings ${key}: ${changedKeys(before, after).join(', ')}`
    return `${before === null ? 'new ' : ''}${kind} ${key}${after === null ? ' removed' : ''}`
  })
  if (count > words.length) words.push(`${count - words.length} more`)
  return (words.length > 0 ? words.join('; ') : `${options.action} ${options.entity ?? ''}`.trim()).slice(0, 500)
}

function changedKeys(before: string | null, after: string | null): string[] {
  const old = JSON.parse(before ?? '{}') as Record<string, unknown>
  const now = JSON.parse(after ?? '{}') as Record<string, unknown>
  const names = new Set([...Object.keys(old), ...Object.keys(now)])
  return [...names].filter((name) => JSON.stringify(old[name]) !== JSON.stringify(now[name]))
}

export async function headRevision(queries: Queries): Promise<number> {
  return (await headOf(queries)).revision
}

export async function headOf(queries: Queries): Promise<RevisionName> {
  const { revision, id } = revisions
  const row = await queries.select({ revision, id }).from(revisions).orderBy(desc(revision)).limit(1).get()
  return row ?? { revision: 0, id: '' }
}

/**
 * Returns whether this revision belongs to this history and all later ones are still stored. Nothing comes before the
 * first.
 */
export async function hasAllSince(
  queries: Queries,
  { revision, id }: { revision: number; id?: string | undefined },
): Promise<boolean> {
  if (revision === 0) return !id
  const [found] = await queries.all<{ all: number }>(sql`
    select (select max(revision) from revisions) - revision
      = (select count(*) from revisions later where later.revision > revisions.revision) as "all"
    from revisions where revision = ${revision} and id = coalesce(${id ?? null}, id)`)
  return found?.all === 1
}

export type RevisionRow = Omit<typeof revisions.$inferSelect, 'id' | 'action' | 'announced'>

const { id: _id, action: _action, announced: _announced, ...revisionColumns } = getTableColumns(revisions)

export type HistoryPage = { limit: number; before?: number | undefined; q?: string | undefined }

/** Lists revisions, newest first. */
export function listRevisions(queries: Queries, { limit, before, q }: HistoryPage): Promise<RevisionRow[]> {
  const { revision, summary, actor, comment } = revisions
  const found = q ? or(...[summary, actor, comment].map((column) => includes(column, q))) : undefined
  return queries
    .select(revisionColumns)
    .from(revisions)
    .where(and(lt(revision, before ?? Number.MAX_SAFE_INTEGER), found))
    .orderBy(desc(revision))
    .limit(limit)
    .all()
}

export function getRevision(queries: Queries, revision: number): Promise<RevisionRow | undefined> {
  return queries.select(revisionColumns).from(revisions).where(eq(revisions.revision, revision)).get()
}

/** Returns the oldest stored revision after one, and the newest stored one before one. */
export async function keptNear(
  queries: Queries,
  revision: number,
): Promise<{ earlier: number | null; later: number | null; laterAt: number | null }> {
  const [found] = await queries.all<{ earlier: number | null; later: number | null; laterAt: number | null }>(sql`
    select (select max(revision) from revisions where revision < ${revision}) as earlier, l.revision as later, l.at as laterAt
    from (select 1) left join (select revision, at from revisions where revision > ${revision} order by revision limit 1) l`)
  return found ?? { earlier: null, later: null, laterAt: null }
}

/** Returns the differences between the states at two revisions; `from < to`. At most `limit` rows. */
export async function changesBetween(queries: Queries, from: number, to: number, limit: number): Promise<Change[]> {
  const found = await queries.all<Change>(sql`
    select first.kind, first.id, last.key, first.before, last.after from
      (select kind, id, min(revision) as at, before from changes where revision > ${from} and revision <= ${to} group by kind, id) first
      join (select kind, id, key, max(revision) as at, after from changes where revision > ${from} and revision <= ${to} group by kind, id) last
        using (kind, id)
    where first.before is not last.after order by first.kind, last.key limit ${limit}`)
  return found
}

/**
 * Returns which of these revisions belong to this history. A revision that is no longer stored counts as belonging to
 * it.
 */
export async function knownRevisions(queries: Queries, names: readonly RevisionName[]): Promise<Set<string>> {
  const found = await queries.all<{ id: string }>(sql`
    select n.value ->> 'id' as id from json_each(${JSON.stringify(names)}) n
      left join revisions r on r.revision = n.value ->> 'revision'
    where r.id = n.value ->> 'id'
      or (r.id is null and n.value ->> 'revision' < (select max(revision) from revisions))`)
  return new Set(found.map(({ id }) => id))
}

/** Returns the newest revision made at or before a time; 0 if there is none. */
export async function revisionAt(queries: Queries, time: number): Promise<number> {
  const { revision, at } = revisions
  const row = await queries
    .select({ revision })
    .from(revisions)
    .where(lte(at, time))
    .orderBy(desc(revision))
    .limit(1)
    .get()
  return row?.revision ?? 0
}

/** Returns whether a revision changed rows of kinds other than these. */
export async function changesAnyOf(queries: Queries, revision: number, except: readonly RowKind[]): Promise<boolean> {
  const found = await queries
    .select({ seq: changes.seq })
    .from(changes)
    .where(and(eq(changes.revision, revision), not(isAmong(changes.kind, except))))
    .limit(1)
    .get()
  return found !== undefined
}

/** Returns the newest revision whose change notification has not reached every live worker. */
export async function unannounced(queries: Queries): Promise<number | undefined> {
  const row = await queries
    .select({ revision: max(revisions.revision) })
    .from(revisions)
    .where(eq(revisions.announced, 0))
    .get()
  return row?.revision ?? undefined
}

/** Marks revisions up to a number as announced. The newest number covers all before it. */
export async function markAnnounced(queries: Queries, upTo: number): Promise<void> {
  await queries
    .update(revisions)
    .set({ announced: 1 })
    .where(and(eq(revisions.announced, 0), lte(revisions.revision, upTo)))
}

export type AuditEntry = {
  id: string
  now: number
  actor: string
  action: string
  kind: string
  entity: string
  revision?: number | undefined
  comment?: string | undefined
  /** The address that the request came from; `undefined` for actions of the system itself. */
  address: string | undefined
}

export async function recordAudit(queries: Queries, entry: AuditEntry): Promise<void> {
  const { id, now: at, actor, action, kind, entity, revision, comment, address } = entry
  await queries.insert(audit).values({ id, at, actor, action, kind, entity, revision, comment, address })
}

export type AuditRow = typeof audit.$inferSelect

export type AuditPage = { limit: number; before?: string | undefined; q?: string | undefined }

/** Lists audit entries, newest first. Ids increase with time. */
export function listAudit(queries: Queries, { limit, before, q }: AuditPage): Promise<AuditRow[]> {
  const { id, actor, action, entity, comment, address } = audit
  const found = q ? or(...[actor, action, entity, comment, address].map((column) => includes(column, q))) : undefined
  return queries
    .select()
    .from(audit)
    .where(and(before ? lt(id, before) : undefined, found))
    .orderBy(desc(id))
    .limit(limit)
    .all()
}
