import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { ObjectStore } from '@postern/objects/object-store.ts'
import { type Compacted, compactHours } from './compact.ts'
import { countSeries, type Series, type SeriesQuery, type Top, type TopQuery, topValues } from './counts.ts'
import { DuckDB } from './duckdb.ts'
import { type ExportQuery, exportEvents } from './export.ts'
import { FileCache, filesInDirectory } from './file-cache.ts'
import { type BatchName, batchKey } from './file-names.ts'
import { daysWithFiles, type HourFiles, type Period } from './hours.ts'
import { LogFiles } from './log-files.ts'
import { type Merge, mergeBatches } from './merge.ts'
import { type FoundMessages, findMessages, type MessageQuery } from './messages.ts'
import { removeDaysBefore } from './retention.ts'
import { type FindQuery, type Found, findEvents, type Limits, type LoggedEvent, traceMessage } from './search.ts'
import { findSecondOutcomes, type SecondOutcomes } from './second-outcomes.ts'

export type LogOptions = {
  store: ObjectStore
  /** Where a directory store has its objects: they are read in place. Absent: they are fetched into `cache`. */
  directory?: string
  /** A directory for fetched objects (512 MiB at most) and what sorts need; emptied at the start. Nobody else uses it. */
  cache: string
  now: () => number
  /** Told once for each file that cannot be read. It is left out from then on. */
  damaged: (key: string, reason: string) => void
}

export type Batch = BatchName & {
  /** The events as JSON lines, compressed with zstd. It is stored as it is. */
  content: Uint8Array
}

const maxCachedBytes = 536_870_912
const temporaryIn = (cache: string): string => join(cache, 'temporary')

/**
 * The log: every event as it came, in files that are never changed (file-names.ts). Searches run in DuckDB's own threads, two
 * at once; DuckDB is loaded by the first. Storing a batch needs only the store.
 */
export class EventLog {
  readonly #store: ObjectStore
  readonly #temporary: string
  readonly #duckdb: DuckDB
  readonly #files: LogFiles

  private constructor({ store, directory, cache, now, damaged }: LogOptions) {
    this.#store = store
    this.#temporary = temporaryIn(cache)
    this.#duckdb = new DuckDB({
      temporary: this.#temporary,
      memory: '128MB',
      moreMemory: '512MB',
      threads: 2,
      concurrent: 2,
    })
    const files =
      directory === undefined
        ? new FileCache(store, join(cache, 'objects'), maxCachedBytes)
        : filesInDirectory(directory)
    this.#files = new LogFiles({ store, files, duckdb: this.#duckdb, now, damaged })
  }

  static async open(options: LogOptions): Promise<EventLog> {
    await rm(options.cache, { recursive: true, force: true })
    await mkdir(temporaryIn(options.cache), { recursive: true, mode: 0o700 })
    return new EventLog(options)
  }

  /**
   * Stores a batch. It is durable when this returns. `taken`: a batch with these numbers is there already.
   * @throws RangeError for a worker, log, hour or numbers that cannot be.
   */
  append({ content, ...name }: Batch): Promise<'created' | 'taken'> {
    return this.#store.create(batchKey(name), content)
  }

  /**
   * Events, newest first.
   * @throws RangeError for a filter's client or code that cannot be one.
   */
  find(query: FindQuery): Promise<Found> {
    return findEvents(this.#files, query)
  }

  /**
   * Messages and what became of them, and mail that was refused; newest first. Whether one waits is told from the log alone.
   * @throws RangeError for a filter's client that cannot be one.
   */
  messages(query: MessageQuery): Promise<FoundMessages> {
    return findMessages(this.#files, query)
  }

  /** @throws RangeError for a column, a number or a filter that cannot be one. */
  top(query: TopQuery): Promise<Top> {
    return topValues(this.#files, query)
  }

  /** @throws RangeError for a column, an interval or a filter that cannot be one. */
  series(query: SeriesQuery): Promise<Series> {
    return countSeries(this.#files, query)
  }

  /** The content of a file; the caller sends it on at its own pace and may stop early. */
  export(query: ExportQuery): AsyncGenerator<Uint8Array> {
    return exportEvents({ files: this.#files, directory: this.#temporary, query })
  }

  /** All events of a message from its time on, also those that the log leaves out: its acceptance first, then by time. */
  trace(messageId: string, limits: Limits = {}): Promise<LoggedEvent[]> {
    return traceMessage(this.#files, messageId, limits)
  }

  /** Merges the batches of hours that have many. Without a period it looks at every day that has files. */
  merge(options: Merge = {}): Promise<{ merged: number }> {
    return mergeBatches(this.#files, options)
  }

  /** Makes each hour that ended more than ten minutes ago one Parquet file. Without a period it looks at every day. */
  compact(period: Period = {}, signal?: AbortSignal): Promise<Compacted> {
    return compactHours(this.#files, { directory: this.#temporary, period, signal })
  }

  /** Finds recipients with outcomes from more than one worker in the hour that begins at `hour`, in ms. */
  secondOutcomes(hour: number, signal?: AbortSignal): Promise<SecondOutcomes[]> {
    return findSecondOutcomes(this.#files, hour, signal)
  }

  /** Removes whole days that ended before a time, in ms; with an archive they are copied there first. */
  removeBefore(time: number, archive?: ObjectStore): Promise<{ days: number; files: number }> {
    return removeDaysBefore(this.#store, time, archive)
  }

  /** The hours that have files, newest first. */
  async *hours(period: Period = {}): AsyncGenerator<HourFiles> {
    for (const day of await daysWithFiles(this.#store, period)) yield* (await this.#files.day(day, period)).hours
  }

  /** Ends searches that are under way, and frees DuckDB. The store stays open. */
  close(): Promise<void> {
    return this.#duckdb.close()
  }
}
