import { readFile } from 'node:fs/promises'
import type { ObjectStore } from '@postern/objects/object-store.ts'
import { checkBatch } from './batch-content.ts'
import { batchRows, maxLineBytes, parquetRows, usualLineBytes } from './columns.ts'
import type { DuckDB, Row, Values } from './duckdb.ts'
import type { FileSource, LocalFiles } from './file-cache.ts'
import { type BatchName, dayFolder, type EventRange } from './file-names.ts'
import { type BatchFile, type DayFiles, filesOfDay, type HourFiles, type Period } from './hours.ts'
import { eachOnce, type Piece } from './ranges.ts'
import { sqlPaths, sqlText } from './sql.ts'
import { zstdFrames } from './zstd-frames.ts'

type LogFilesOptions = {
  store: ObjectStore
  files: FileSource
  duckdb: DuckDB
  now: () => number
  damaged: (key: string, reason: string) => void
}

export type QueryOptions = {
  /** The query over `source`, a subquery with the log's columns. */
  sql: (source: string) => string
  values: Values
  signal?: AbortSignal
}

/** What a query reads: keys of Parquet files, and parts of batches. */
export type Contents = { parquet: string[]; pieces: Piece<BatchFile>[] }

type Source = { files: LocalFiles; source: string | undefined; contents: Contents; isUsable: boolean }

const maxRemembered = 50_000

/** The name of the list of ranges in the metadata of a Parquet file. */
export const rangesKey = 'postern_ranges'

/**
 * The log's files as rows. A file that cannot be read is named once and left out from then on, and what else holds its
 * events counts. A file that a merge or a compaction has removed meanwhile is looked for again.
 */
export class LogFiles {
  readonly store: ObjectStore
  readonly now: () => number
  readonly #files: FileSource
  readonly #duckdb: DuckDB
  readonly #tell: LogFilesOptions['damaged']
  readonly #damaged = new Map<string, string>()
  /** Batches whose frames are whole. */
  readonly #whole = new Set<string>()
  /** Batches with a line that the usual buffer does not hold. */
  readonly #longLines = new Set<string>()
  /** What a Parquet file holds; it is asked for only when batches lie beside it. */
  readonly #covered = new Map<string, EventRange[]>()

  constructor({ store, files, duckdb, now, damaged }: LogFilesOptions) {
    this.store = store
    this.now = now
    this.#files = files
    this.#duckdb = duckdb
    this.#tell = damaged
  }

  /** Keys that were left out so far because they cannot be read. */
  get damaged(): ReadonlyMap<string, string> {
    return this.#damaged
  }

  /** A query that reads no file of the log. */
  rows(sql: string, values: Values = {}, signal?: AbortSignal): Promise<Row[]> {
    return this.#duckdb.rows(sql, values, signal)
  }

  async day(day: number, period: Period = {}): Promise<DayFiles> {
    const found = await filesOfDay(this.store, day, period)
    for (const key of found.foreign) this.#leaveOut(key, 'not a file of the log')
    return found
  }

  /** The rows of a query over these hours. */
  async query(hours: readonly HourFiles[], { sql, values, signal }: QueryOptions): Promise<Row[]> {
    return this.reading(hours, signal, (source) =>
      source === undefined ? Promise.resolve([]) : this.#duckdb.rows(sql(source), values, signal),
    )
  }

  /**
   * Calls `read` with a subquery that has the rows of these hours, `undefined` when there are none; again when it fails
   * because of a file.
   */
  async reading<T>(
    hours: readonly HourFiles[],
    signal: AbortSignal | undefined,
    read: (source: string | undefined, contents: Contents) => Promise<T>,
  ): Promise<T> {
    for (let current = hours; ; ) {
      const { files, source, contents, isUsable } = await this.#source(current, signal)
      try {
        if (isUsable) return await read(source, contents)
      } catch (error) {
        signal?.throwIfAborted()
        if (!(await this.#examine(current, files))) throw error
      } finally {
        files.release()
      }
      signal?.throwIfAborted()
      current = await this.#again(current)
    }
  }

  /** What is read of an hour: without files that are damaged, each event once. */
  async piecesOf(hour: HourFiles, signal?: AbortSignal): Promise<{ parquet?: string; pieces: Piece<BatchFile>[] }> {
    const batches = hour.batches.filter(({ key }) => !this.#damaged.has(key))
    for (const { key } of hour.parquet) {
      if (this.#damaged.has(key)) continue
      if (batches.length === 0) return { parquet: key, pieces: [] }
      const covered = await this.rangesOf(key, signal)
      if (covered) return { parquet: key, pieces: eachOnce(batches, covered) }
    }
    return { pieces: eachOnce(batches) }
  }

  /** What a Parquet file holds; `undefined` when it is gone or cannot be read. */
  async rangesOf(key: string, signal?: AbortSignal): Promise<EventRange[] | undefined> {
    const known = this.#covered.get(key)
    if (known) return known
    const files = await this.#files.take([key], signal)
    try {
      const path = files.paths.get(key)
      if (path === undefined) return undefined
      const sql = `select decode(value) as ranges from parquet_kv_metadata(${sqlPaths([path])}) where decode(key) = ${sqlText(rangesKey)}`
      const [row] = await this.#duckdb.rows(sql, {}, signal)
      const ranges = JSON.parse(String(row?.ranges)) as EventRange[]
      this.#covered.set(key, ranges)
      return ranges
    } catch (error) {
      signal?.throwIfAborted()
      if (await this.#isThere(key)) this.#leaveOut(key, (error as Error).message)
      return undefined
    } finally {
      files.release()
    }
  }

  async #source(hours: readonly HourFiles[], signal?: AbortSignal): Promise<Source> {
    const parquet: string[] = []
    const pieces: Piece<BatchFile>[] = []
    for (const hour of hours) {
      const found = await this.piecesOf(hour, signal)
      if (found.parquet !== undefined) parquet.push(found.parquet)
      pieces.push(...found.pieces)
    }
    const batches = new Set(pieces.map(({ batch }) => batch.key))
    const files = await this.#files.take([...parquet, ...batches], signal)
    const areWhole = await this.#areWhole(batches, files)
    const lineBytes = [...batches].some((key) => this.#longLines.has(key)) ? maxLineBytes : usualLineBytes
    const source = sourceOf(parquet, pieces, { pathOf: (key) => files.paths.get(key) ?? '', lineBytes })
    return { files, source, contents: { parquet, pieces }, isUsable: files.absent.length === 0 && areWhole }
  }

  /** Looks at the frames of each batch once: DuckDB takes a file that is cut off for one that has ended. */
  async #areWhole(keys: Iterable<string>, { paths }: LocalFiles): Promise<boolean> {
    let areWhole = true
    for (const key of keys) {
      const path = paths.get(key)
      if (path === undefined || this.#whole.has(key)) continue
      try {
        zstdFrames(await readFile(path))
        if (this.#whole.size >= maxRemembered) this.#whole.clear()
        this.#whole.add(key)
      } catch (error) {
        areWhole = false
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#leaveOut(key, (error as Error).message)
      }
    }
    return areWhole
  }

  /** After a query failed: whether a file of it was the reason. */
  async #examine(hours: readonly HourFiles[], files: LocalFiles): Promise<boolean> {
    let isFound = false
    for (const { parquet, batches } of hours) {
      for (const { key } of parquet)
        if (files.paths.has(key)) isFound = (await this.#examineParquet(key, files)) || isFound
      for (const batch of batches)
        if (files.paths.has(batch.key)) isFound = (await this.#examineBatch(batch)) || isFound
    }
    return isFound
  }

  async #examineBatch(batch: BatchFile): Promise<boolean> {
    const content = await this.store.get(batch.key)
    const hadLongLines = this.#longLines.has(batch.key)
    return !content || !(await this.isSound(batch, content)) || this.#longLines.has(batch.key) !== hadLongLines
  }

  /** Reads every event of a batch. One that is not sound is left out from then on. */
  async isSound(batch: BatchName & { key: string }, content: Uint8Array): Promise<boolean> {
    const found = await checkBatch(content, batch)
    if ('fault' in found) this.#leaveOut(batch.key, found.fault)
    else if (found.longestLine >= usualLineBytes) this.#longLines.add(batch.key)
    return !('fault' in found)
  }

  async #examineParquet(key: string, files: LocalFiles): Promise<boolean> {
    if (!(await this.#isThere(key))) return true
    try {
      const rows = parquetRows(sqlPaths([files.paths.get(key) ?? '']))
      await this.#duckdb.rows(`select bit_xor(hash(events)) from (${rows}) events`, {})
      return false
    } catch (error) {
      if (await this.#isThere(key)) this.#leaveOut(key, (error as Error).message)
      return true
    }
  }

  async #isThere(key: string): Promise<boolean> {
    return (await this.store.list({ prefix: key, limit: 1 }))[0]?.key === key
  }

  /** The same hours as they are now. */
  async #again(hours: readonly HourFiles[]): Promise<HourFiles[]> {
    const wanted = new Set(hours.map(({ hour }) => hour))
    const found: HourFiles[] = []
    for (const folder of new Set(hours.map(({ hour }) => dayFolder(hour)))) {
      const day = hours.find(({ hour }) => dayFolder(hour) === folder)?.hour ?? 0
      found.push(...(await this.day(day)).hours.filter(({ hour }) => wanted.has(hour)))
    }
    return found
  }

  #leaveOut(key: string, reason: string): void {
    if (this.#damaged.has(key)) return
    const line = reason.replace(/\s+/g, ' ').slice(0, 200)
    this.#damaged.set(key, line)
    this.#tell(key, line)
  }
}

type Reading = { pathOf: (key: string) => string; lineBytes: number }

function sourceOf(parquet: string[], pieces: Piece<BatchFile>[], { pathOf, lineBytes }: Reading): string | undefined {
  const batches = pieces.map(({ batch, first, last }) => ({ path: pathOf(batch.key), name: batch, first, last }))
  const selects = [
    ...(parquet.length > 0 ? [parquetRows(sqlPaths(parquet.map(pathOf)))] : []),
    ...(batches.length > 0 ? [batchRows(batches, lineBytes)] : []),
  ]
  return selects.length > 0 ? selects.map((select) => `(${select})`).join(' union all ') : undefined
}
