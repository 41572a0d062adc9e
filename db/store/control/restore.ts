import { type RowKind, rowKinds } from '@postern/contract/rows.ts'
import { and, eq, sql } from 'drizzle-orm'
import { isAmong, yieldToEventLoop } from '../database.ts'
import { insertChanges, insertRows } from './bulk.ts'
import type { ChangeSet } from './change-set.ts'
import { keyOf } from './row-key.ts'
import { rows } from './tables.ts'

/** Restores every row to its state at a revision. */

const pageRows = 500
/** Up to this number of rows the answer can show the changes. More rows are restored in slices, without showing them. */
const maxShown = 2_000

type Touched = { id: string; before: string | null; now: string | null; key: string | null }
type Found = Touched & { isAutomatic: 0 | 1 }

/**
 * Restores every row to its state at `revision`, except the kinds in `except` and automatic blocks. Undoing a setting
 * must neither let an attacker in again nor renew an expired block.
 */
export async function restore(changeSet: ChangeSet, revision: number, except: readonly RowKind[]): Promise<void> {
  const kinds = rowKinds.filter((kind) => !except.includes(kind))
  const [count] = await changeSet.queries.all<{ n: number }>(sql`
    select count(*) as n from (select 1 from changes where revision > ${revision}
      and ${isAmong(sql`kind`, kinds)} limit ${maxShown + 1})`)
  const isSmall = (count?.n ?? 0) <= maxShown
  // Remove all rows before restoring any, because a key may have moved from one row to another.
  for (const kind of kinds)
    for await (const page of pages(changeSet, kind, revision)) await takeAway(changeSet, kind, page, isSmall)
  for (const kind of kinds)
    for await (const page of pages(changeSet, kind, revision)) await putBack(changeSet, kind, page, isSmall)
}

/** Yields, page by page, rows of a kind that changed after a revision and differ from their state there. */
async function* pages(changeSet: ChangeSet, kind: RowKind, revision: number): AsyncGenerator<Touched[]> {
  for (let after = ''; ; ) {
    const found = await changeSet.queries.all<Found>(sql`
      select c.id, c.before, r.value as now, r.key,
        coalesce(r.value, c.before, '{}') ->> 'createdBy' like 'system:%' as isAutomatic from
        (select id, min(revision) as first, before from changes
          where kind = ${kind} and id > ${after} and revision > ${revision} and revision < ${changeSet.revision}
          group by id order by id limit ${pageRows}) c
        left join rows r on r.kind = ${kind} and r.id = c.id
      order by c.id`)
    yield found.filter(({ before, now, isAutomatic }) => before !== now && isAutomatic !== 1)
    after = found.at(-1)?.id ?? after
    if (found.length < pageRows) return
    await yieldToEventLoop()
  }
}

export async function takeAway(changeSet: ChangeSet, kind: RowKind, page: Touched[], isSmall: boolean): Promise<void> {
  if (isSmall) {
    for (const { id } of page) await changeSet.remove(kind, id)
    return
  }
  if (page.length === 0) return
  const changes = page.map(({ id, before, now, key }) => ({
    kind,
    id,
    key: key ?? keyOfStored(kind, id, before),
    before: now,
    after: before,
  }))
  await insertChanges(changeSet.queries, { revision: changeSet.revision, seq: changeSet.bulk + 1 }, changes)
  changeSet.bulk += page.length
  changeSet.show(changes)
  await changeSet.hashBulk(changes)
  const ids = page.map(({ id }) => id)
  await changeSet.queries.delete(rows).where(and(eq(rows.kind, kind), isAmong(rows.id, ids)))
}

const keyOfStored = (kind: RowKind, id: string, json: string | null) => keyOf(kind, id, JSON.parse(json ?? '{}'))

export async function putBack(changeSet: ChangeSet, kind: RowKind, page: Touched[], isSmall: boolean): Promise<void> {
  const back = page.filter(({ before }) => before !== null)
  await makeWay(changeSet, kind, back)
  if (isSmall) {
    for (const { id, before } of back) await changeSet.putSealed(kind, id, String(before))
    return
  }
  if (back.length === 0) return
  const input = back.map(({ id, before }) => {
    const value = JSON.parse(String(before)) as { expiresAt?: string }
    const expiresAt = value.expiresAt === undefined ? null : Date.parse(value.expiresAt)
    return { id, key: keyOf(kind, id, value), value: String(before), expiresAt }
  })
  await insertRows(changeSet.queries, { kind, revision: changeSet.revision, existing: 'fail' }, input)
}

/** Removes newer automatic blocks that conflict with a restored administrator's entry for the same address. */
async function makeWay(changeSet: ChangeSet, kind: RowKind, back: Touched[]): Promise<void> {
  if (kind !== 'control-access') return
  const keys = back.map(({ id, before }) => keyOfStored(kind, id, before))
  const isAutomatic = sql`${rows.value} ->> 'createdBy' like 'system:%'`
  const automatic = await changeSet.queries
    .select({ id: rows.id })
    .from(rows)
    .where(and(eq(rows.kind, kind), isAutomatic, isAmong(rows.key, keys)))
    .all()
  for (const { id } of automatic) await changeSet.remove(kind, id)
}
