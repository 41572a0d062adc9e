import type { RowKind } from '@postern/contract/rows.ts'
import { type SettingGroup, type Settings, settingGroups } from '@postern/contract/settings.ts'
import { and, asc, eq, getTableColumns, gt, lt, lte, or, sql } from 'drizzle-orm'
import { includes, isAmong, type Queries } from '../database.ts'
import { changes, rows } from './tables.ts'

/** Rows as stored: JSON with secrets sealed. `secrets.ts` opens or hides the secrets. */
export type StoredJson = Omit<typeof rows.$inferSelect, 'expiresAt'>

const { expiresAt: _, ...storedColumns } = getTableColumns(rows)

/** Selects rows; the caller adds `where`, `orderBy` and `limit`. */
const select = (queries: Queries) => queries.select(storedColumns).from(rows)

export function getRow(queries: Queries, kind: RowKind, id: string): Promise<StoredJson | undefined> {
  return select(queries)
    .where(and(eq(rows.kind, kind), eq(rows.id, id)))
    .get()
}

/** Returns a group of settings; keys that are not stored have their defaults. Secrets are sealed. */
export async function getSettings<G extends SettingGroup>(queries: Queries, group: G): Promise<Settings[G]> {
  const row = await getRow(queries, 'settings', group)
  return settingGroups[group].schema.parse(JSON.parse(row?.value ?? '{}')) as Settings[G]
}

export type RowPage = { limit: number; after?: string | undefined; q?: string | undefined }

/** Lists rows in order of their keys. `q` searches key and value. */
export function listRows(queries: Queries, kind: RowKind, { limit, after, q }: RowPage): Promise<StoredJson[]> {
  const found = q ? or(includes(rows.key, q), includes(rows.value, q)) : undefined
  return select(queries)
    .where(and(eq(rows.kind, kind), gt(rows.key, after ?? ''), found))
    .orderBy(asc(rows.key))
    .limit(limit)
    .all()
}

export function allRows(queries: Queries, kind: RowKind): Promise<StoredJson[]> {
  return select(queries).where(eq(rows.kind, kind)).orderBy(asc(rows.key)).all()
}

/** Returns rows of a kind with one of these keys. */
export function rowsByKey(queries: Queries, kind: RowKind, keys: readonly string[]): Promise<StoredJson[]> {
  return select(queries)
    .where(and(eq(rows.kind, kind), isAmong(rows.key, keys)))
    .all()
}

/** Returns the rows with these keys that have expired at `now`. */
export function expiredAmong(
  queries: Queries,
  kind: RowKind,
  { keys, now }: { keys: readonly string[]; now: number },
): Promise<{ id: string }[]> {
  return queries
    .select({ id: rows.id })
    .from(rows)
    .where(and(eq(rows.kind, kind), lte(rows.expiresAt, now), isAmong(rows.key, keys)))
    .all()
}

/**
 * Returns the entries of an address list that may contain one of these addresses: the addresses themselves, and all
 * blocks and ranges.
 */
export function blocksHolding(queries: Queries, list: RowKind, addresses: readonly string[]): Promise<StoredJson[]> {
  const isBlock = sql`instr(${rows.key}, '/') > 0 or instr(${rows.key}, '-') > 0`
  return select(queries)
    .where(and(eq(rows.kind, list), or(isAmong(rows.key, addresses), isBlock)))
    .all()
}

/** Returns a page of all rows of a kind, in order of their ids. */
export function rowsById(
  queries: Queries,
  kind: RowKind,
  { after, limit }: { after: string; limit: number },
): Promise<StoredJson[]> {
  return select(queries)
    .where(and(eq(rows.kind, kind), gt(rows.id, after)))
    .orderBy(asc(rows.id))
    .limit(limit)
    .all()
}

export type Lines = { n: number; last: string | null; text: string | null }

/** Like `rowsById`, as one NDJSON text made by SQLite. For kinds without secrets, of which there may be a million rows. */
export async function rowLinesById(
  queries: Queries,
  kind: RowKind,
  { after, limit }: { after: string; limit: number },
): Promise<Lines> {
  const [lines] = await queries.all<Lines>(sql`
    select count(*) as n, max(id) as last, group_concat(line, '') as text from (
      select id, ${lineOf('value')} as line from rows where kind = ${kind} and id > ${after} order by id limit ${limit})`)
  return lines ?? { n: 0, last: null, text: null }
}

/** Builds `{"kind":…,"id":…,"revision":…,"value":…}` and a line feed. */
const lineOf = (value: string) =>
  sql.raw(
    `'{"kind":' || json_quote(kind) || ',"id":' || json_quote(id) || ',"revision":' || revision || ',"value":' || coalesce(${value}, 'null') || '}' || char(10)`,
  )

export type StoredChange = Omit<typeof changes.$inferSelect, 'key' | 'before'>

export type ChangesPage = {
  kinds: readonly RowKind[]
  after: { revision: number; seq: number }
  upTo: number
  limit: number
}

/**
 * Returns changes in the order in which they were made. The + makes SQLite use that order, instead of sorting all
 * changes of the kinds for each page.
 */
export function changesPage(queries: Queries, { kinds, after, upTo, limit }: ChangesPage): Promise<StoredChange[]> {
  const { revision, seq, kind, id, after: value } = changes
  return queries
    .select({ revision, seq, kind, id, after: value })
    .from(changes)
    .where(
      and(
        sql`(${revision}, ${seq}) > (${after.revision}, ${after.seq})`,
        lte(revision, upTo),
        isAmong(sql`+${kind}`, kinds),
      ),
    )
    .orderBy(asc(revision), asc(seq))
    .limit(limit)
    .all()
}

/** `isAutomatic`: the system itself created it. */
export type DueRow = { kind: RowKind; id: string; isAutomatic: 0 | 1 }

/** Returns expired list entries. */
export function expiredRows(queries: Queries, now: number, limit: number): Promise<DueRow[]> {
  const { kind, id, expiresAt, value } = rows
  const isAutomatic = sql<0 | 1>`${value} ->> 'createdBy' like 'system:%'`
  return queries.select({ kind, id, isAutomatic }).from(rows).where(lte(expiresAt, now)).limit(limit).all()
}

/** Returns old orders. At this age they were carried out or abandoned long ago. */
export function oldOrders(queries: Queries, before: string, limit: number): Promise<DueRow[]> {
  const { kind, id, value } = rows
  const isAutomatic = sql<0 | 1>`${value} ->> 'orderedBy' = 'system'`
  return queries
    .select({ kind, id, isAutomatic })
    .from(rows)
    .where(and(eq(kind, 'order'), lt(sql`${value} ->> 'orderedAt'`, before)))
    .limit(limit)
    .all()
}

/** Like `changesPage`, as one NDJSON text; `undefined` if the page contains rows of the kinds in `without`. */
export async function changeLines(
  queries: Queries,
  { kinds, after, upTo, limit }: ChangesPage,
  without: readonly RowKind[],
): Promise<(Omit<Lines, 'last'> & { revision: number; seq: number }) | undefined> {
  const [lines] = await queries.all<Omit<Lines, 'last'> & { revision: number; seq: number; others: number }>(sql`
    select count(*) as n, max(revision << 32 | seq) >> 32 as revision, max(revision << 32 | seq) & 4294967295 as seq,
      group_concat(line, '') as text,
      sum(${isAmong(sql`kind`, without)}) as others
    from (
      select revision, seq, kind, ${lineOf('after')} as line from changes
      where (revision, seq) > (${after.revision}, ${after.seq}) and revision <= ${upTo}
        and ${isAmong(sql`+kind`, kinds)}
      order by revision, seq limit ${limit})`)
  return lines && !lines.others ? lines : undefined
}
