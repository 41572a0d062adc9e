import { randomUUID } from 'node:crypto'
import { type CountedColumn, columns, countedColumns } from './columns.ts'
import { conditionOf, type EventFilter } from './filter.ts'
import type { LogFiles } from './log-files.ts'
import { type Limits, type Reach, searchBack } from './search.ts'

export type TopQuery = EventFilter & Limits & { by: CountedColumn; limit: number }

/** The most frequent values of a column, each with its number of events. An event with several recipients counts for each. */
export type Top = Reach & { items: { value: string | number; count: number }[] }

export type SeriesQuery = EventFilter &
  Limits & {
    /** The width of an interval, in ms: at least 1 000. Intervals begin at its multiples. */
    stepMs: number
    /** Counts each value of a column by itself. */
    by?: CountedColumn | undefined
    /** How many values are told apart, the most frequent ones; 10 without it. The others are counted together. */
    values?: number | undefined
  }

/**
 * Events by interval, in the order of time; an interval without events is left out. `value` is absent without `by`, and
 * `null` for the values that are not told apart. With `by`, events that have no value are left out.
 */
export type Series = Reach & { items: { at: number; value?: string | number | null; count: number }[] }

export async function topValues(files: LogFiles, { by, limit, ...query }: TopQuery): Promise<Top> {
  checkColumn(by)
  checkCount(limit, 'values')
  return withCounts(files, query, { value: valueSql(by) }, async (table, reach) => {
    const rows = await files.rows(
      `select value, sum(count)::double as count from ${table} where value is not null
       group by value order by count desc, value limit ${limit}`,
    )
    return { ...reach, items: rows.map(({ value, count }) => ({ value: valueIn(by, value), count: Number(count) })) }
  })
}

export async function countSeries(
  files: LogFiles,
  { stepMs, by, values = 10, ...query }: SeriesQuery,
): Promise<Series> {
  if (by !== undefined) checkColumn(by)
  checkCount(values, 'values')
  if (!Number.isSafeInteger(stepMs) || stepMs < 1_000)
    throw new RangeError(`not the width of an interval in ms: ${stepMs}`)
  const at = `epoch_ms("at") // ${stepMs} * ${stepMs}`
  return withCounts(files, query, { at, value: by === undefined ? 'null' : valueSql(by) }, async (table, reach) => {
    const rows = await files.rows(
      by === undefined
        ? `select "at"::double as "at", sum(count)::double as count from ${table} group by "at" order by "at"`
        : `with most as (select value from ${table} where value is not null group by value order by sum(count) desc, value limit ${values})
           select "at"::double as "at", case when value in (from most) then value end as value, sum(count)::double as count
           from ${table} where value is not null group by all order by "at", value nulls last`,
    )
    const items = rows.map((row) => ({
      at: Number(row.at),
      ...(by === undefined ? {} : { value: row.value === null ? null : valueIn(by, row.value) }),
      count: Number(row.count),
    }))
    return { ...reach, items }
  })
}

/**
 * Counts step by step into a table of DuckDB, which may be larger than memory, and calls `answer` with its name. A step that
 * the deadline interrupts leaves no trace in it.
 */
async function withCounts<T>(
  files: LogFiles,
  query: EventFilter & Limits,
  { at = 'null', value }: { at?: string; value: string },
  answer: (table: string, reach: Reach) => Promise<T>,
): Promise<T> {
  const condition = conditionOf(query)
  const table = `counts_${randomUUID().replaceAll('-', '')}`
  const sql = (source: string) =>
    `insert into ${table} select ${at} as "at", value, count(*) as count
     from (select "at", ${value} as value from (${source}) where logged and ${condition.sql}) group by all`
  await files.rows(`create table ${table} ("at" bigint, value varchar, count bigint)`)
  try {
    const reach = await searchBack(files, query, async ({ hours, signal }) => {
      await files.query(hours, { sql, values: condition.values, signal })
      return 'more'
    })
    return await answer(table, reach)
  } finally {
    await files.rows(`drop table ${table}`)
  }
}

const valueSql = (column: CountedColumn): string =>
  columns[column].type === 'VARCHAR[]' ? `unnest("${column}")` : `"${column}"::varchar`

const valueIn = (column: CountedColumn, value: unknown): string | number =>
  columns[column].type.startsWith('VARCHAR') ? String(value) : Number(value)

function checkColumn(column: string): asserts column is CountedColumn {
  if (!countedColumns.includes(column as CountedColumn))
    throw new RangeError(`not a column to count by: "${column.slice(0, 40)}"; allowed: ${countedColumns.join(', ')}`)
}

function checkCount(count: number, what: string): void {
  if (!Number.isSafeInteger(count) || count < 1) throw new RangeError(`not a number of ${what}: ${count}`)
}
