import { stat, unlink } from 'node:fs/promises'
import type { Cursors, Reclaimed, Segment, Waiting } from '../spool.ts'
import { isMissing } from './disk.ts'
import { parseCursor, segmentFile, segmentText } from './file-names.ts'
import { listSegments, type OpenSegments } from './segments.ts'
import { readTailOf } from './tail.ts'

/** Below this part of waiting data, a segment's messages are worth copying. */
const sparsePart = 0.25

export type Books = {
  cursors: Cursors
  waiting: ReadonlyMap<Segment, Waiting>
}

/** Reclaims one writer's finished segments. */
export async function reclaimWriter(
  { writer, directory, segments }: { writer: string; directory: string; segments: OpenSegments },
  books: Books,
): Promise<Reclaimed> {
  const reclaimed: Reclaimed = { removed: [], freed: 0, sparse: [] }
  const sparse: { segment: Segment; part: number }[] = []
  for (const number of await sealedAndTaken(writer, directory, books.cursors)) {
    const segment = segmentText(writer, number)
    const file = segmentFile(directory, number)
    const size = await sizeOfFile(file)
    const waiting = books.waiting.get(segment)
    if (waiting) {
      const part = waiting.bytes / Math.max(1, size)
      if (part < sparsePart) sparse.push({ segment, part })
      continue
    }
    segments.forget({ writer, segment: number })
    await unlink(file).catch(ignoreMissing)
    reclaimed.removed.push(segment)
    reclaimed.freed += size
  }
  reclaimed.sparse = sparse.sort((a, b) => a.part - b.part).map(({ segment }) => segment)
  return reclaimed
}

/** Returns sealed segments that were taken over. Never the highest, because the writer continues from its number. */
async function sealedAndTaken(writer: string, directory: string, cursors: Cursors): Promise<number[]> {
  const cursor = cursors.get(writer)
  if (!cursor) return []
  const tail = await readTailOf(directory)
  if (!tail) return []
  const numbers = await listSegments(directory)
  const highest = numbers.at(-1) ?? 0
  const reached = parseCursor(cursor).segment
  // The segments are older than the cursor: they were restored, and their messages have not been taken over yet.
  if (reached > highest) return []
  const below = Math.min(reached, tail.segment, highest)
  return numbers.filter((number) => number < below)
}

async function sizeOfFile(file: string): Promise<number> {
  try {
    return (await stat(file)).size
  } catch (error) {
    ignoreMissing(error)
    return 0
  }
}

function ignoreMissing(error: unknown): void {
  if (!isMissing(error)) throw error
}
