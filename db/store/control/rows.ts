import type { RowKind } from '@postern/contract/rows.ts'
import { sql } from 'drizzle-orm'
import { contains, type Queries } from '../database.ts'

/** Rows as stored: JSON, secrets sealed. `secrets.ts` opens or hides them. */
export type StoredJson = { kind: RowKind; id: string; key: string; value: string; revision: number }

export async function getRow(queries: Queries, kind: RowKind, id: string): Promise<StoredJson | undefined> {
  const [row] = await queries.all<StoredJson>(sql`select * from rows where kind = ${kind} and id = ${id}`)
  return row
}

export type RowPage = { limit: number; after?: string | undefined; q?: string | undefined }

/** In order of their keys; `q` is looked for in key and value. */
export function listRows(queries: Queries, kind: RowKind, { limit, after, q }: RowPage): Promise<StoredJson[]> {
  const search = q ? sql`and (key like ${contains(q)} escape '\\' or value like ${contains(q)} escape '\\')` : sql``
  return queries.all<StoredJson>(sql`
    select * from rows where kind = ${kind} and key > ${after ?? ''} ${search} order by key limit ${limit}`)
}

export function allRows(queries: Queries, kind: RowKind): Promise<StoredJson[]> {
  return queries.all<StoredJson>(sql`select * from rows where kind = ${kind} order by key`)
}

/** Rows of a kind that stand under one of these keys. */
export function rowsByKey(queries: Queries, kind: RowKind, keys: readonly string[]): Promise<StoredJson[]> {
  return queries.all<StoredJson>(
    sql`select * from rows where kind = ${kind} and key in (select value from json_each(${JSON.stringify(keys)}))`,
  )
}

/** The rows of these keys whose time is over at `now`. */
export function expiredAmong(
  queries: Queries,
  kind: RowKind,
  { keys, now }: { keys: readonly string[]; now: number },
): Promise<{ id: string }[]> {
  return queries.all(sql`
    select id from rows where kind = ${kind} and expires_at <= ${now}
      and key in (select value from json_each(${JSON.stringify(keys)}))`)
}

/** The entries of an address list that may hold one of these addresses: the addresses themselves, and every block and range. */
export function blocksHolding(queries: Queries, list: RowKind, addresses: readonly string[]): Promise<StoredJson[]> {
  return queries.all<StoredJson>(sql`
    select * from rows where kind = ${list} and (key in (select value from json_each(${JSON.stringify(addresses)}))
      or instr(key, '/') > 0 or instr(key, '-') > 0)`)
}

/** A page of all rows of a kind, in the order of their ids. */
export function rowsById(
  queries: Queries,
  kind: RowKind,
  { after, limit }: { after: string; limit: number },
): Promise<StoredJson[]> {
  return queries.all<StoredJson>(
    sql`select * from rows where kind = ${kind} and id > ${after} order by id limit ${limit}`,
  )
}

export type Lines = { n: number; last: string | null; text: string | null }

/** As `rowsById`, as one NDJSON text made by SQLite: for kinds without secrets, of which there may be a million. */
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

/** `{"kind":…,"id":…,"revision":…,"value":…}` and a line feed. */
const lineOf = (value: string) =>
  sql.raw(
    `'{"kind":' || json_quote(kind) || ',"id":' || json_quote(id) || ',"revision":' || revision || ',"value":' || coalesce(${value}, 'null') || '}' || char(10)`,
  )

export type StoredChange = { revision: number; seq: number; kind: RowKind; id: string; after: string | null }

export type ChangesPage = {
  kinds: readonly RowKind[]
  after: { revision: number; seq: number }
  upTo: number
  limit: number
}

/** In the order they were made. The + keeps SQLite on that order, instead of sorting all changes of the kinds for each page. */
export function changesPage(queries: Queries, { kinds, after, upTo, limit }: ChangesPage): Promise<StoredChange[]> {
  return queries.all<StoredChange>(sql`
    select revision, seq, kind, id, after from changes
    where (revision, seq) > (${after.revision}, ${after.seq}) and revision <= ${upTo}
      and +kind in (select value from json_each(${JSON.stringify(kinds)}))
    order by revision, seq limit ${limit}`)
}

/** `isAutomatic`: the system made it by itself. */
export type DueRow = { kind: RowKind; id: string; isAutomatic: 0 | 1 }

/** List entries whose time is over. */
export function expiredRows(queries: Queries, now: number, limit: number): Promise<DueRow[]> {
  return queries.all(sql`
    select kind, id, value ->> 'createdBy' like 'system:%' as isAutomatic from rows where expires_at <= ${now} limit ${limit}`)
}

/** Orders were carried out or came to nothing long before they are this old. */
export function oldOrders(queries: Queries, before: string, limit: number): Promise<DueRow[]> {
  return queries.all(sql`
    select kind, id, value ->> 'orderedBy' = 'system' as isAutomatic from rows
    where kind = 'order' and value ->> 'orderedAt' < ${before} limit ${limit}`)
}

/** As `changesPage`, as one NDJSON text; `undefined` when a row of these kinds is in the page. */
export async function changeLines(
  queries: Queries,
  { kinds, after, upTo, limit }: ChangesPage,
  without: readonly RowKind[],
): Promise<(Omit<Lines, 'last'> & { revision: number; seq: number }) | undefined> {
  const [lines] = await queries.all<Omit<Lines, 'last'> & { revision: number; seq: number; others: number }>(sql`
    select count(*) as n, max(revision << 32 | seq) >> 32 as revision, max(revision << 32 | seq) & 4294967295 as seq,
      group_concat(line, '') as text,
      sum(kind in (select value from json_each(${JSON.stringify(without)}))) as others
    from (
      select revision, seq, kind, ${lineOf('after')} as line from changes
      where (revision, seq) > (${after.revision}, ${after.seq}) and revision <= ${upTo}
        and +kind in (select value from json_each(${JSON.stringify(kinds)}))
      order by revision, seq limit ${limit})`)
  return lines && !lines.others ? lines : undefined
}
