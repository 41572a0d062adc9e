import * as fs from 'node:fs'
import { readdir, truncate, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Trouble } from '../spool.ts'
import { close, open, read, sizeOf } from './disk.ts'
import type { Sealed } from './journal.ts'
import { draftSuffix, segmentFile, segmentText } from './names.ts'
import { decodeHead, headLength } from './record.ts'
import { type Span, scanWindow } from './scan.ts'
import { listSegments } from './segments.ts'
import { readTailOf } from './tail.ts'

/** What a writer finds in its directory when it starts. */
export interface Recovered {
  /** The last segment, cut to its last whole record; number 0 when there is none. */
  last: Sealed
  /** Whether that segment has no record, so that it can go when the next one exists. */
  empty: boolean
  /** The marker this writer used before. */
  marker: Buffer | undefined
}

/**
 * Removes unfinished drafts and cuts what follows the last whole record of the last segment: octets of a group that was
 * being written when the process died, so nobody was promised them. Everything before was synced and is not touched.
 */
export async function recover(
  directory: string,
  writer: string,
  trouble: (trouble: Trouble) => void,
): Promise<Recovered> {
  for (const name of await readdir(directory)) if (name.endsWith(draftSuffix)) await unlink(join(directory, name))
  const segment = (await listSegments(directory)).at(-1)
  const tail = await readTailOf(directory)
  // A tail without segments: all of them were lost. Go on behind it, so that no reader waits for numbers long gone.
  if (segment === undefined)
    return { last: { segment: tail?.segment ?? 0, end: 0 }, empty: false, marker: tail?.marker }
  const file = segmentFile(directory, segment)
  const fd = await open(file, fs.constants.O_RDONLY)
  let last: { end: number; size: number; marker: Buffer | undefined }
  try {
    last = await endOf(fd, {
      segment,
      from: tail?.segment === segment ? tail.offset : headLength,
      marker: tail?.marker,
    })
  } finally {
    await close(fd)
  }
  if (last.end < last.size) {
    await truncate(file, last.end)
    trouble({
      kind: 'torn-tail',
      segment: segmentText(writer, segment),
      offset: last.end,
      octets: last.size - last.end,
    })
  }
  return { last: { segment, end: last.end }, empty: last.end <= headLength, marker: last.marker }
}

async function endOf(
  fd: number,
  known: { segment: number; from: number; marker: Buffer | undefined },
): Promise<{ end: number; size: number; marker: Buffer | undefined }> {
  const size = await sizeOf(fd)
  const head = decodeHead(await read(fd, 0, headLength))
  const marker = head?.marker ?? known.marker
  // Its creation was cut short: it holds nothing.
  if (!head && size <= headLength) return { end: 0, size, marker }
  const span: Span = { fd, segment: known.segment, to: size, marker, trusted: true, read }
  let end = Math.min(known.from, size)
  let next = end
  while (next < size) {
    const window = await scanWindow(span, next, Number.POSITIVE_INFINITY)
    const last = window.found.at(-1)
    if (last) end = last.offset + last.octets
    if (window.next === next) break
    next = window.next
  }
  return { end, size, marker: span.marker }
}
