/**
 * The names of the log's files.
 * - `log/2026-11-30/08/smtp-1.0123456789ab.1-5000.ndjson.zst`: a batch, events 1 to 5000 of one log of one worker.
 * - `log/2026-11-30/parquet/08.parquet`: the hour once it is compacted; `08.2.parquet` holds that and what came later,
 *   `08.3.parquet` what came later still. No file is ever changed: the one with the highest number counts, the others are
 *   being removed. They have a folder of their own, because Athena reads every file below the location of a table.
 */

export const logFolder = 'log/'
export const hourMs = 3_600_000
export const dayMs = 86_400_000

/** Numbers of one log of one worker, both inclusive. */
export type EventRange = { worker: string; log: string; first: number; last: number }

/** A batch: a range of numbers whose events lie in one hour (its beginning in UTC, in ms). */
export type BatchName = EventRange & { hour: number }

export type ParquetName = { hour: number; generation: number }

export type FileName = ({ kind: 'batch' } & BatchName) | ({ kind: 'parquet' } & ParquetName)

const workerPattern = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$/
const logPattern = /^[0-9a-f]{12}$/

export const hourOf = (at: number): number => Math.floor(at / hourMs) * hourMs

/** `log/2026-11-30/`, for a time in ms. */
export const dayFolder = (at: number): string => `${logFolder}${new Date(at).toISOString().slice(0, 10)}/`

const hourName = (at: number): string => new Date(at).toISOString().slice(11, 13)

export const parquetKey = ({ hour, generation }: ParquetName): string =>
  `${dayFolder(hour)}parquet/${hourName(hour)}${generation === 1 ? '' : `.${generation}`}.parquet`

/** @throws RangeError for what cannot be the name of a batch. */
export function batchKey({ hour, worker, log, first, last }: BatchName): string {
  if (!workerPattern.test(worker))
    throw new RangeError(`not the name of a worker: ${JSON.stringify(worker.slice(0, 80))}`)
  if (!logPattern.test(log)) throw new RangeError(`not a log id: ${JSON.stringify(log.slice(0, 80))}`)
  if (!isRange(first, last)) throw new RangeError(`not a range of event numbers: ${first} to ${last}`)
  if (!Number.isSafeInteger(hour) || hour % hourMs !== 0) throw new RangeError(`not the beginning of an hour: ${hour}`)
  return `${dayFolder(hour)}${hourName(hour)}/${worker}.${log}.${first}-${last}.ndjson.zst`
}

const parquetPattern = /^log\/(\d{4}-\d\d-\d\d)\/parquet\/(\d\d)(?:\.([1-9]\d{0,5}))?\.parquet$/
const batchPattern =
  /^log\/(\d{4}-\d\d-\d\d)\/(\d\d)\/([A-Za-z0-9_-][A-Za-z0-9._-]{0,63})\.([0-9a-f]{12})\.(\d{1,16})-(\d{1,16})\.ndjson\.zst$/

/** Returns `undefined` for a key that is not the name of a file of the log. */
export function parseKey(key: string): FileName | undefined {
  return parseParquetKey(key) ?? parseBatchKey(key)
}

function parseParquetKey(key: string): FileName | undefined {
  const [, day, hh, generation = '1'] = parquetPattern.exec(key) ?? []
  const name = { hour: timeOf(day, hh), generation: Number(generation) }
  return !Number.isNaN(name.hour) && parquetKey(name) === key ? { kind: 'parquet', ...name } : undefined
}

function parseBatchKey(key: string): FileName | undefined {
  const [, day, hh, worker = '', log = '', first, last] = batchPattern.exec(key) ?? []
  const name = { hour: timeOf(day, hh), worker, log, first: Number(first), last: Number(last) }
  if (Number.isNaN(name.hour) || !isRange(name.first, name.last)) return undefined
  return batchKey(name) === key ? { kind: 'batch', ...name } : undefined
}

const timeOf = (day?: string, hh?: string): number => Date.parse(`${day}T${hh}:00:00.000Z`)

/** The day of a folder such as `log/2026-11-30/`, in ms; `undefined` for another folder. */
export function dayOf(folder: string): number | undefined {
  const day = Date.parse(`${folder.slice(logFolder.length, -1)}T00:00:00.000Z`)
  return !Number.isNaN(day) && dayFolder(day) === folder ? day : undefined
}

const isRange = (first: number, last: number): boolean =>
  Number.isSafeInteger(first) && Number.isSafeInteger(last) && first >= 1 && last >= first
