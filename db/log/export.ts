import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { columnList, columns, rowGroupSize } from './columns.ts'
import { conditionOf, type EventFilter } from './filter.ts'
import type { LogFiles } from './log-files.ts'
import { hoursBack, newestFirst } from './search.ts'
import { sqlPaths, sqlText } from './sql.ts'

export type ExportFormat = 'ndjson' | 'csv' | 'parquet'

export type ExportQuery = EventFilter & { format: ExportFormat; signal?: AbortSignal | undefined }

/** Where an export has its files until they are handed on. */
type Export = { files: LogFiles; directory: string; query: ExportQuery }

/**
 * The events of the log as a file, newest first: one JSON object a line, CSV (with a header), or Parquet with the log's
 * columns. DuckDB writes some hours into a file on this machine, which is handed on and removed, then the next; Parquet is
 * handed on when it is whole.
 */
export async function* exportEvents(given: Export): AsyncGenerator<Uint8Array> {
  const { format } = given.query
  if (format === 'parquet') return yield* wholeParquet(given)
  if (format === 'csv') yield Buffer.from(`${Object.keys(columns).join(',')}\n`)
  for await (const part of partsOf(given)) yield* contentOf(part)
}

/** Files with the events of some hours each. Who takes one removes it. */
async function* partsOf({ files, directory, query }: Export): AsyncGenerator<string> {
  const { format, signal, ...filter } = query
  const condition = conditionOf(filter)
  for await (const hours of hoursBack(files, filter)) {
    const path = join(directory, `${randomUUID()}.${format}`)
    const sql = (source: string) =>
      `copy (select ${selected[format]} from (${source}) where logged and ${condition.sql} order by ${newestFirst})
       to ${sqlText(path)} (${options[format]})`
    try {
      const copied = await files.query(hours, { sql, values: condition.values, ...(signal ? { signal } : {}) })
      if (copied.length > 0) yield path
    } finally {
      await rm(path, { force: true })
    }
  }
}

async function* contentOf(path: string): AsyncGenerator<Uint8Array> {
  for await (const chunk of createReadStream(path)) yield chunk as Uint8Array
}

async function* wholeParquet(given: Export): AsyncGenerator<Uint8Array> {
  const { files, directory, query } = given
  const whole = join(directory, `${randomUUID()}.parquet`)
  const parts: string[] = []
  try {
    for await (const part of partsOf(given)) {
      const kept = join(directory, `${randomUUID()}.part.parquet`)
      await rename(part, kept)
      parts.push(kept)
    }
    const rows = parts.length > 0 ? `read_parquet(${sqlPaths(parts)})` : `(${emptyRows}) where false`
    await files.rows(
      `copy (select ${columnList} from ${rows}) to ${sqlText(whole)} (${options.parquet})`,
      {},
      query.signal,
    )
    yield* contentOf(whole)
  } finally {
    for (const path of [...parts, whole]) await rm(path, { force: true })
  }
}

const emptyRows = `select ${Object.entries(columns)
  .map(([name, { type }]) => `null::${type} as "${name}"`)
  .join(', ')}`

/** The event as it was, with its worker and log before it. */
const eventLine = `concat('{"worker":', to_json(worker), ',"log":', to_json(log), ',"n":', n, ',"at":"',
  strftime("at"::timestamp, '%Y-%m-%dT%H:%M:%S.%g'), 'Z","type":', to_json("type"), case when fields = '{}' then '' else ',' end, substr(fields, 2))`

/** A spreadsheet takes a cell that begins with one of these for a formula. What a stranger sent stays a text. */
const textCell = (text: string): string =>
  `case when regexp_matches(${text}, '^[-=+@\\t\\r]') then concat('''', ${text}) else ${text} end`

const csvCells = Object.entries(columns).map(([name, { type }]) => {
  const column = `"${name}"`
  if (type === 'VARCHAR[]') return `${textCell(`array_to_string(${column}, ' ')`)} as ${column}`
  if (type === 'TIMESTAMP_MS') return `concat(strftime(${column}::timestamp, '%Y-%m-%dT%H:%M:%S.%g'), 'Z') as ${column}`
  return type === 'VARCHAR' ? `${textCell(column)} as ${column}` : column
})

const selected: Record<ExportFormat, string> = {
  ndjson: `${eventLine} as line`,
  csv: csvCells.join(', '),
  parquet: columnList,
}

const options: Record<ExportFormat, string> = {
  // One column that needs no quotes: JSON has none of these characters.
  ndjson: String.raw`format csv, header false, quote '', escape '', delimiter e'\x01'`,
  csv: 'format csv, header false',
  parquet: `format parquet, compression zstd, row_group_size ${rowGroupSize}`,
}
