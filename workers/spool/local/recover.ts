import * as fs from 'node:fs'
import { readdir, truncate, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Trouble } from '../spool.ts'
import { close, open, read, sizeOf } from './disk.ts'
import { segmentFile, segmentText, unfinishedSuffix } from './file-names.ts'
import type { Sealed } from './group-commit.ts'
import { decodeHead, type Head, headLength } from './record.ts'
import { type Span, scanWindow } from './scan.ts'
import { listSegments, refuseForeign } from './segments.ts'
import { readTailOf, type Tail } from './tail.ts'

/** The state that a writer finds in its directory at startup. */
export type Recovered = {
  /** At least the highest number ever used. The next segment gets the number after it. */
  highest: number
  /** The last segment with a record, truncated after its last complete one; number 0 if there is none. */
  last: Sealed
  /** Later segments without any record. They can be removed once the next segment exists. */
  empty: number[]
  /** The marker that this writer used before. */
  marker: Buffer | undefined
}

/**
 * Removes unfinished files, and truncates the last segment after its last complete record. The removed bytes belong to
 * a group that was being written when the process died, so they were never acknowledged. Earlier data was synced and is
 * not touched.
 */
export async function recover(
  directory: string,
  writer: string,
  trouble: (trouble: Trouble) => void,
): Promise<Recovered> {
  for (const name of await readdir(directory)) if (name.endsWith(unfinishedSuffix)) await unlink(join(directory, name))
  const tail = await readTailOf(directory)
  const numbers = await listSegments(directory)
  // Numbers start from the time, so that they increase even if the directory was emptied or restored from an old copy.
  // A reader whose cursor is ahead of them would never see new messages.
  const highest = Math.max(numbers.at(-1) ?? 0, tail?.segment ?? 0, Math.floor(Date.now() / 1000) - 1)
  const found: Recovered = { highest, last: { segment: 0, end: 0 }, empty: [], marker: tail?.marker }
  for (const segment of numbers.reverse()) {
    const ending = await endOf(segmentFile(directory, segment), { writer, segment, tail })
    found.marker = ending.marker ?? found.marker
    if (ending.end < ending.size) {
      await truncate(segmentFile(directory, segment), ending.end)
      const bytes = ending.size - ending.end
      trouble({ kind: 'torn-tail', segment: segmentText(writer, segment), offset: ending.end, bytes })
    }
    if (ending.end > headLength) return { ...found, last: { segment, end: ending.end } }
    found.empty.push(segment)
    if (ending.head) {
      return { ...found, last: { segment: ending.head.previous, end: ending.head.previousEnd } }
    }
  }
  return found
}

type Ending = {
  end: number
  size: number
  head: Head | undefined
  marker: Buffer | undefined
}

async function endOf(
  file: string,
  known: { writer: string; segment: number; tail: Tail | undefined },
): Promise<Ending> {
  const fd = await open(file, fs.constants.O_RDONLY)
  try {
    const size = await sizeOf(fd)
    const bytes = await read(fd, 0, headLength)
    refuseForeign(bytes, segmentText(known.writer, known.segment))
    const head = decodeHead(bytes)
    const marker = head?.marker ?? known.tail?.marker
    // Its creation was interrupted, so it is empty.
    if (!head && size <= headLength) return { end: size, size, head, marker }
    const span: Span = { fd, segment: known.segment, to: size, marker, trusted: true, bodies: 'now', read }
    const synced = known.tail?.segment === known.segment ? known.tail.offset : headLength
    // The file is shorter than what was synced. Keep the end, so that the reader reports the missing part.
    const end = synced > size ? synced : await lastEnd(span, synced)
    return { end, size, head, marker: span.marker }
  } finally {
    await close(fd)
  }
}

/** Returns the end of the last complete record from this position; `from` if there is none. */
async function lastEnd(span: Span, from: number): Promise<number> {
  let end = from
  let next = from
  while (next < span.to) {
    const window = await scanWindow(span, next, Number.POSITIVE_INFINITY)
    const last = window.found.at(-1)
    if (last) end = last.offset + last.bytes
    if (window.next === next) break
    next = window.next
  }
  return end
}
