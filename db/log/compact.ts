import { randomUUID } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { columnList, rowGroupSize } from './columns.ts'
import { DuckDB } from './duckdb.ts'
import { type EventRange, hourMs, parquetKey } from './file-names.ts'
import { daysWithFiles, type HourFiles, type Period } from './hours.ts'
import { type Contents, type LogFiles, rangesKey } from './log-files.ts'
import { eachOnce, joined } from './ranges.ts'
import { newestFirst } from './search.ts'
import { sqlText } from './sql.ts'

/** How long after its end an hour is compacted: by then its batches have come. What comes later is compacted into it. */
const restMs = 600_000
/** Sorting needs more than a search; it is one thread, beside mail. */
const engine = { memory: '256MB', moreMemory: '1GB', threads: 1, concurrent: 1 }

export type Compaction = {
  /** Where files are written first. */
  directory: string
  period?: Period
  signal?: AbortSignal | undefined
}

/** `hours`: the beginnings of the compacted hours, in ms. */
export type Compacted = { hours: number[]; events: number }

/**
 * Makes each hour that has ended one Parquet file, newest first, as searches read it. The file is stored under a name that none has, then what it
 * holds is removed: a crash in between leaves both, and events count once. Two processes that compact the same hour do no
 * harm: one of them stores its file, the other nothing.
 */
export async function compactHours(
  files: LogFiles,
  { directory, period = {}, signal }: Compaction,
): Promise<Compacted> {
  const compacted: Compacted = { hours: [], events: 0 }
  const duckdb = new DuckDB({ ...engine, temporary: directory })
  try {
    for (const day of await daysWithFiles(files.store, period))
      for (const hour of (await files.day(day, period)).hours) {
        if (hour.hour + hourMs + restMs > files.now()) continue
        signal?.throwIfAborted()
        const events = await compactHour(files, hour, { directory, duckdb, signal })
        compacted.events += events
        if (events > 0) compacted.hours.push(hour.hour)
      }
  } finally {
    await duckdb.close()
  }
  return compacted
}

type Tools = { directory: string; duckdb: DuckDB; signal: AbortSignal | undefined }

/** Returns how many events the new file has; 0: there was nothing to do. */
async function compactHour(files: LogFiles, hour: HourFiles, tools: Tools): Promise<number> {
  const batches = hour.batches.filter(({ key }) => !files.damaged.has(key))
  if (batches.length === 0 && hour.parquet.length <= 1) return 0
  const { pieces } = await files.piecesOf(hour, tools.signal)
  const path = join(tools.directory, `${randomUUID()}.parquet`)
  try {
    const written = pieces.length > 0 ? await writeParquet(files, hour, { ...tools, path }) : undefined
    if (written) {
      const key = parquetKey({ hour: hour.hour, generation: (hour.parquet[0]?.generation ?? 0) + 1 })
      if ((await files.store.create(key, await readFile(path))) === 'taken') return 0
    }
    await removeCompacted(files, hour, tools.signal)
    return written?.events ?? 0
  } finally {
    await rm(path, { force: true })
  }
}

async function writeParquet(files: LogFiles, hour: HourFiles, { path, duckdb, signal }: Tools & { path: string }) {
  return files.reading([hour], signal, async (source, contents) => {
    if (source === undefined || contents.pieces.length === 0) return undefined
    const ranges = await rangesIn(files, contents, signal)
    const sql = `copy (select ${columnList} from (${source}) order by ${newestFirst}) to ${sqlText(path)}
      (format parquet, compression zstd, compression_level 1, row_group_size ${rowGroupSize}, kv_metadata {${rangesKey}: ${sqlText(JSON.stringify(ranges))}})`
    const [row] = await duckdb.rows(sql, {}, signal)
    const events = Number(row?.Count)
    const expected = ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0)
    // The files are then read one by one, and the one that has less than its name says is left out.
    if (events !== expected)
      throw new Error(`${events} events were read of ${hour.hour}, the names of its files say ${expected}`)
    return { events }
  })
}

async function rangesIn(files: LogFiles, { parquet, pieces }: Contents, signal?: AbortSignal): Promise<EventRange[]> {
  const ranges: EventRange[] = pieces.map(({ batch: { worker, log }, first, last }) => ({ worker, log, first, last }))
  for (const key of parquet) ranges.push(...((await files.rangesOf(key, signal)) ?? []))
  return joined(ranges)
}

/** Removes what the newest Parquet file of an hour holds, and nothing else: not what came meanwhile, not what is damaged. */
async function removeCompacted(files: LogFiles, { hour }: HourFiles, signal?: AbortSignal): Promise<void> {
  const now = (await files.day(hour, { since: hour, until: hour + 1 })).hours[0]
  const [newest, ...older] = now?.parquet.filter(({ key }) => !files.damaged.has(key)) ?? []
  const held = newest && (await files.rangesOf(newest.key, signal))
  if (!now || !held) return
  const isHeld = (ranges: EventRange[]) => eachOnce(ranges, held).length === 0
  const removed = now.batches.filter((batch) => !files.damaged.has(batch.key) && isHeld([batch])).map(({ key }) => key)
  for (const file of older) {
    const ranges = await files.rangesOf(file.key, signal)
    if (ranges && isHeld(ranges)) removed.push(file.key)
  }
  await files.store.remove(removed)
}
