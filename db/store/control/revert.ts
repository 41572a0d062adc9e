import type { RowKind } from '@postern/contract/rows.ts'
import { sql } from 'drizzle-orm'
import { isAmong, yieldToEventLoop } from '../database.ts'
import type { ChangeSet } from './change-set.ts'
import { putBack, takeAway } from './restore.ts'

/** Reverts a single revision. Later changes stay, and a row that changed since is a conflict. */

const pageRows = 500
/** Up to this number of rows the change set holds each change. More rows are reverted in slices. */
const maxHeld = 2_000
const maxConflicts = 100

export type Conflict = { kind: RowKind; id: string; key: string; detail: string }

type Undone = {
  seq: number
  kind: RowKind
  id: string
  key: string
  before: string | null
  after: string | null
  now: string | null
  /** Another row that now has its key. */
  inTheWay: string | null
}

export type RevertOptions = {
  revision: number
  /** Kinds that stay unchanged. */
  except: readonly RowKind[]
  /** Also revert rows that changed since. */
  force: boolean
}

/**
 * Reverts the rows of a revision to their previous state, separately for each key of a value.
 * @returns rows that changed since and are not reverted without `force`. If there are any, the change set must be
 *   discarded.
 */
export async function revert(changeSet: ChangeSet, { revision, except, force }: RevertOptions): Promise<Conflict[]> {
  const [count] = await changeSet.queries.all<{ n: number }>(
    sql`select count(*) as n from (select 1 from changes where revision = ${revision} limit ${maxHeld + 1})`,
  )
  const isSmall = (count?.n ?? 0) <= maxHeld
  const conflicts: Conflict[] = []
  // Remove all rows before restoring any, because a key may have moved from one row to another.
  for (const step of [removeMade, undoChanged, bringBack])
    for await (const page of pages(changeSet, revision, except)) {
      conflicts.push(...(await step(changeSet, page, { isSmall, force })))
      if (conflicts.length >= maxConflicts) return conflicts.slice(0, maxConflicts)
    }
  return conflicts
}

async function* pages(changeSet: ChangeSet, revision: number, except: readonly RowKind[]): AsyncGenerator<Undone[]> {
  for (let seq = -1; ; ) {
    const found = await changeSet.queries.all<Undone>(sql`
      select c.seq, c.kind, c.id, c.key, c.before, c.after, r.value as now,
        (select o.id from rows o where o.kind = c.kind and o.key = c.key and o.id <> c.id) as inTheWay
      from changes c left join rows r on r.kind = c.kind and r.id = c.id
      where c.revision = ${revision} and c.seq > ${seq}
        and not ${isAmong(sql`c.kind`, except)}
      order by c.seq limit ${pageRows}`)
    yield found
    seq = found.at(-1)?.seq ?? seq
    if (found.length < pageRows) return
    await yieldToEventLoop()
  }
}

type How = { isSmall: boolean; force: boolean }

/** Removes rows that the revision created. Settings groups are never removed, because they came with a release. */
async function removeMade(changeSet: ChangeSet, page: Undone[], { isSmall, force }: How): Promise<Conflict[]> {
  const made = page.filter(({ kind, before, now }) => before === null && now !== null && kind !== 'settings')
  const conflicts = force ? [] : made.filter(({ after, now }) => after !== now).map(conflictOf('it has changed since'))
  if (conflicts.length > 0) return conflicts
  for (const [kind, rows] of Map.groupBy(made, (row) => row.kind)) await takeAway(changeSet, kind, rows, isSmall)
  return []
}

async function undoChanged(changeSet: ChangeSet, page: Undone[], { force }: How): Promise<Conflict[]> {
  const conflicts: Conflict[] = []
  for (const row of page)
    if (row.before !== null && row.after !== null) conflicts.push(...(await undo(changeSet, row, force)))
  return conflicts
}

async function undo(changeSet: ChangeSet, row: Undone, force: boolean): Promise<Conflict[]> {
  const { kind, id, before, after, now } = row
  if (now === null && !force) return [conflictOf('it was deleted since')(row)]
  const open = (json: string | null) => changeSet.open(kind, id, json ?? before ?? '{}')
  const { value, changed } = withoutChange(await open(before), await open(after), await open(now))
  if (changed.length > 0 && !force) return [conflictOf(`${changed.join(', ')} changed since`)(row)]
  await changeSet.put(kind, id, value as never)
  return []
}

type Fields = Record<string, unknown>

/** Returns `now` without the change from `before` to `after`. `changed`: keys that match neither `before` nor `after`. */
function withoutChange(before: Fields, after: Fields, now: Fields): { value: Fields; changed: string[] } {
  const value = { ...now }
  const changed: string[] = []
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    if (isSame(before[key], after[key])) continue
    if (!isSame(now[key], after[key]) && !isSame(now[key], before[key])) changed.push(key)
    if (key in before) value[key] = before[key]
    else delete value[key]
  }
  return { value, changed }
}

const isSame = (one: unknown, other: unknown) => JSON.stringify(one) === JSON.stringify(other)

/** Restores rows that the revision deleted. */
async function bringBack(changeSet: ChangeSet, page: Undone[], { isSmall, force }: How): Promise<Conflict[]> {
  const gone = page.filter(({ before, after, now }) => after === null && before !== null && now !== before)
  const conflicts = gone
    .filter(({ now, inTheWay }) => now !== null || inTheWay !== null)
    .map(conflictOf('it exists again'))
  if (conflicts.length > 0 && !force) return conflicts
  for (const { kind, inTheWay } of gone) if (inTheWay !== null) await changeSet.remove(kind, inTheWay)
  for (const [kind, rows] of Map.groupBy(gone, (row) => row.kind)) {
    await takeAway(changeSet, kind, rows, isSmall)
    await putBack(changeSet, kind, rows, isSmall)
  }
  return []
}

const conflictOf =
  (detail: string) =>
  ({ kind, id, key }: Undone): Conflict => ({ kind, id, key, detail })
