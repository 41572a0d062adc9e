import type { ObjectStore, StoredObject } from '@postern/objects/object-store.ts'
import { type BatchName, dayFolder, dayMs, dayOf, hourMs, logFolder, type ParquetName, parseKey } from './file-names.ts'

export type BatchFile = BatchName & StoredObject
export type ParquetFile = ParquetName & StoredObject

/** The files of one hour. */
export type HourFiles = {
  /** The beginning of the hour, in ms. */
  hour: number
  /** The highest generation first. */
  parquet: ParquetFile[]
  batches: BatchFile[]
}

export type DayFiles = {
  /** Newest first. */
  hours: HourFiles[]
  /** Keys that no file of the log has. */
  foreign: string[]
}

/** Both in ms; `since` is inclusive, `until` exclusive. */
export type Period = { since?: number | undefined; until?: number | undefined }

/** The days that have files, newest first, in ms. One call lists them all. */
export async function daysWithFiles(store: ObjectStore, { since = 0, until = Number.POSITIVE_INFINITY }: Period = {}) {
  const days: number[] = []
  for (const folder of await store.folders(logFolder)) {
    const day = dayOf(folder)
    if (day !== undefined && day + dayMs > since && day < until) days.push(day)
  }
  return days.sort((a, b) => b - a)
}

/** The files of one day, by hour. */
export async function filesOfDay(store: ObjectStore, day: number, period: Period = {}): Promise<DayFiles> {
  const { since = 0, until = Number.POSITIVE_INFINITY } = period
  const hours = new Map<number, HourFiles>()
  const foreign: string[] = []
  for await (const { key, bytes } of objectsBelow(store, dayFolder(day))) {
    const name = parseKey(key)
    if (!name) {
      foreign.push(key)
      continue
    }
    if (name.hour + hourMs <= since || name.hour >= until) continue
    const files = hours.get(name.hour) ?? { hour: name.hour, parquet: [], batches: [] }
    hours.set(name.hour, files)
    if (name.kind === 'parquet') files.parquet.push({ ...name, key, bytes })
    else files.batches.push({ ...name, key, bytes })
  }
  for (const { parquet } of hours.values()) parquet.sort((a, b) => b.generation - a.generation)
  return { hours: [...hours.values()].sort((a, b) => b.hour - a.hour), foreign }
}

/** Every object whose key begins with `prefix`, in order. */
export async function* objectsBelow(store: ObjectStore, prefix: string): AsyncGenerator<StoredObject> {
  for (let after = ''; ; ) {
    const page = await store.list({ prefix, after })
    yield* page
    const last = page.at(-1)
    if (!last) return
    after = last.key
  }
}
