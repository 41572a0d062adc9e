import { sql } from 'drizzle-orm'
import { type Database, isAmong } from '../database.ts'
import { bySystem } from './revisions.ts'
import { changes, revisions } from './tables.ts'

/**
 * Removes history that the system created. Automatic blocks come and go by the thousand, and each is a revision.
 * Changes by people are kept, and so is every revision that touched a row that people made or that still exists. A
 * revision is removed completely or not at all. A worker that is behind therefore either gets all changes or has to
 * take the snapshot (`hasAllSince`). The newest revision stays, because the next one derives its number and id from it.
 */

/** Number of revisions checked in one piece, and about the number of changes removed. */
const pageRevisions = 500
const pageChanges = 2_000

/** `after`: where the next piece starts; `undefined` at the end. */
export type Piece = { after: number | undefined; dropped: number }

type Seen = { revision: number; changes: number; isOld: 0 | 1; isDue: 0 | 1 }

export async function dropOldHistory(
  database: Database,
  { before, after }: { before: number; after: number },
): Promise<Piece> {
  const seen = await database.all<Seen>(sql`
    select revision, changes, at < ${before} as isOld,
      at < ${before} and ${bySystem(sql`actor`)} and changes > 0 and revision < (select max(revision) from revisions) as isDue
    from revisions where revision > ${after} order by revision limit ${pageRevisions}`)
  if (!seen.some(({ isOld }) => isOld)) return { after: undefined, dropped: 0 }
  const taken = seen.slice(0, 1 + seen.findIndex(pastSum(pageChanges)) || seen.length)
  const due = taken.filter(({ isDue }) => isDue).map(({ revision }) => revision)
  const dropped = due.length === 0 ? 0 : await dropRevisions(database, due, before)
  const isEnd = taken.length === seen.length && seen.length < pageRevisions
  return { after: isEnd ? undefined : taken.at(-1)?.revision, dropped }
}

const pastSum = (limit: number) => {
  let sum = 0
  return ({ changes, isDue }: Seen) => {
    if (isDue) sum += changes
    return sum >= limit
  }
}

/** Drops those of these revisions that touch only rows which the system created and removed long ago. */
function dropRevisions(database: Database, due: readonly number[], before: number): Promise<number> {
  return database.transaction(async (queries) => {
    const gone = await queries.all<{ revision: number }>(sql`
      select revision from revisions where ${isAmong(sql`revision`, due)} and not exists (
        select 1 from changes c where c.revision = revisions.revision and (
          exists (select 1 from rows r where r.kind = c.kind and r.id = c.id)
          or exists (select 1 from changes o join revisions p on p.revision = o.revision
            where o.kind = c.kind and o.id = c.id and (p.at >= ${before} or not ${bySystem(sql`p.actor`)}))))`)
    const numbers = gone.map(({ revision }) => revision)
    await queries.delete(revisions).where(isAmong(revisions.revision, numbers))
    await queries.delete(changes).where(isAmong(changes.revision, numbers))
    return gone.length
  })
}

const pageEntries = 1_000

export type AuditPiece = { after: string | undefined; dropped: number }

/** Drops audit entries of removed revisions, and the entries that workers create every hour when they enrol. */
export async function dropOldAudit(
  database: Database,
  { before, after }: { before: number; after: string },
): Promise<AuditPiece> {
  const seen = await database.all<{ id: string; isOld: 0 | 1 }>(
    sql`select id, at < ${before} as isOld from audit where id > ${after} order by id limit ${pageEntries}`,
  )
  const last = seen.at(-1)?.id
  if (last === undefined || !seen.some(({ isOld }) => isOld)) return { after: undefined, dropped: 0 }
  const gone = await database.all(sql`
    delete from audit where id > ${after} and id <= ${last} and at < ${before} and (
      (${bySystem(sql`actor`)} and revision is not null
        and not exists (select 1 from revisions r where r.revision = audit.revision))
      or (actor like 'worker:%' and action = 'worker.enrol'))
    returning 1`)
  return { after: seen.length < pageEntries ? undefined : last, dropped: gone.length }
}
