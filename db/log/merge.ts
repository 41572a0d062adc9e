import { type BatchName, batchKey } from './file-names.ts'
import { type BatchFile, daysWithFiles, type Period } from './hours.ts'
import type { LogFiles } from './log-files.ts'

export type Merge = Period & {
  /** An hour with more batches is merged, because a search opens each of its files; 50 without it. */
  above?: number
  /** An abort ends it between two merged files. */
  signal?: AbortSignal | undefined
}

/** A merged file is not merged again from half of this on: each event is copied a few times, not once a batch. */
const maxMergedBytes = 33_554_432

/**
 * Makes batches of one log that follow each other one file: their frames behind each other, under a name with the wider range.
 * The parts are removed when it is stored; those that a crash left count as contained. A part that is damaged stays as it is.
 * Returns how many files are fewer.
 */
export async function mergeBatches(
  files: LogFiles,
  { above = 50, signal, ...period }: Merge = {},
): Promise<{ merged: number }> {
  let merged = 0
  for (const day of await daysWithFiles(files.store, period))
    for (const { batches } of (await files.day(day, period)).hours)
      if (batches.length > above)
        for (const run of runsOf(batches.filter(({ key }) => !files.damaged.has(key)))) {
          signal?.throwIfAborted()
          merged += await mergeRun(files, run)
        }
  return { merged }
}

/** Batches whose numbers follow each other without gap and overlap, two at least. */
function runsOf(batches: BatchFile[]): BatchFile[][] {
  const runs: BatchFile[][] = []
  for (const ofLog of Map.groupBy(batches, ({ worker, log }) => `${worker} ${log}`).values()) {
    let run: BatchFile[] = []
    let bytes = 0
    for (const batch of ofLog.toSorted((a, b) => a.first - b.first)) {
      const follows = run.at(-1)?.last === batch.first - 1 && bytes + batch.bytes <= maxMergedBytes
      if (follows && batch.bytes < maxMergedBytes / 2) {
        run.push(batch)
        bytes += batch.bytes
        continue
      }
      run = [batch]
      runs.push(run)
      bytes = batch.bytes
    }
  }
  return runs.filter(({ length }) => length > 1)
}

async function mergeRun(files: LogFiles, run: BatchFile[]): Promise<number> {
  const parts: Uint8Array[] = []
  for (const batch of run) {
    const content = await files.store.get(batch.key)
    // Absent: merged or compacted by another process.
    if (!content || !(await files.isSound(batch, content))) return 0
    parts.push(content)
  }
  const [begin, end] = [run[0], run.at(-1)]
  if (!begin || !end) return 0
  const name: BatchName = { ...begin, last: end.last }
  const key = batchKey(name)
  if ((await files.store.create(key, Buffer.concat(parts))) === 'taken') {
    const present = await files.store.get(key)
    if (!present || !(await files.isSound({ ...name, key }, present))) return 0
  }
  await files.store.remove(run.map(({ key }) => key))
  return run.length - 1
}
