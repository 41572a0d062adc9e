/**
 * The names of the log's files.
 * - `log/2026-11-30/08/smtp-1.0123456789ab.1-5000.ndjson.zst`: a batch, events 1 to 5000 of one log of one worker.
 * - `log/2026-11-30/08.parquet`: the hour once it is compacted; `08.2.parquet` holds that and what came later, `08.3.parquet`
 *   what came later still. No file is ever changed: the one with the highest number counts, the others are being removed.
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

const hourName = (at: number): string => dayFolder(at) + new Date(at).toISOString().slice(11, 13)

export const parquetKey = ({ hour, generation }: ParquetName): string =>
  `${hourName(hour)}${generation === 1 ? '' : `.${generation}`}.parquet`

/** @throws RangeError for what cannot be the name of a batch. */
export function batchKey({ hour, worker, log, first, last }: BatchName): string {
  if (!workerPattern.test(worker))
    throw new RangeError(`not the name of a worker: ${JSON.stringify(worker.slice(0, 80))}`)
  if (!logPattern.test(log)) throw new RangeError(`not a log id: ${JSON.stringify(log.slice(0, 80))}`)
  if (!isRange(first, last)) throw new RangeError(`not a range of event numbers: ${first} to ${last}`)
  if (!Number.isSafeInteger(hour) || hour % hourMs !== 0) throw new RangeError(`not the beginning of an hour: ${hour}`)
  return `${hourName(hour)}/${worker}.${log}.${first}-${last}.ndjson.zst`
}

const keyPattern =
  /^log\/(\d{4}-\d\d-\d\d)\/(\d\d)(?:(?:\.([1-9]\d{0,5}))?\.parquet|\/([A-Za-z0-9_-][A-Za-z0-9._-]{0,63})\.([0-9a-f]{12})\.(\d{1,16})-(\d{1,16})\.ndjson\.zst)$/

/** Returns `undefined` for a key that is not the name of a file of the log. */
export function parseKey(key: string): FileName | undefined {
  const [, day, hh, generation = '1', worker, log, first, last] = keyPattern.exec(key) ?? []
  const hour = Date.parse(`${day}T${hh}:00:00.000Z`)
  if (Number.isNaN(hour)) return undefined
  if (worker === undefined || log === undefined) {
    const name = { hour, generation: Number(generation) }
    return parquetKey(name) === key ? { kind: 'parquet', ...name } : undefined
  }
  const name = { hour, worker, log, first: Number(first), last: Number(last) }
  return isRange(name.first, name.last) && batchKey(name) === key ? { kind: 'batch', ...name } : undefined
}

/** The day of a folder such as `log/2026-11-30/`, in ms; `undefined` for another folder. */
export function dayOf(folder: string): number | undefined {
  const day = Date.parse(`${folder.slice(logFolder.length, -1)}T00:00:00.000Z`)
  return !Number.isNaN(day) && dayFolder(day) === folder ? day : undefined
}

const isRange = (first: number, last: number): boolean =>
  Number.isSafeInteger(first) && Number.isSafeInteger(last) && first >= 1 && last >= first
