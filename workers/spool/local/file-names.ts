import { join } from 'node:path'
import type { Cursor, Location, Segment } from '../spool.ts'

/** Text forms of locations, segments and cursors, and the file names of a writer's directory. */

const writerName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

export function checkWriterName(name: string): void {
  if (!writerName.test(name)) {
    throw new RangeError(
      `spool writer "${name}": 1 to 64 letters, digits, ".", "_" or "-", starting with a letter or digit`,
    )
  }
}

export function isWriterName(name: string): boolean {
  return writerName.test(name)
}

export function segmentFile(directory: string, segment: number): string {
  return join(directory, `${String(segment).padStart(8, '0')}.seg`)
}

/** Returns the segment's number; `undefined` for any other file. */
export function segmentNumber(fileName: string): number | undefined {
  return /^\d{8,10}\.seg$/.test(fileName) ? Number.parseInt(fileName, 10) : undefined
}

export const unfinishedSuffix = '.draft'

export type SegmentOf = {
  writer: string
  segment: number
}

export function segmentText(writer: string, segment: number): Segment {
  return `${writer}/${segment}` as Segment
}

export type MessagePosition = SegmentOf & {
  offset: number
  /** Size of the whole record in bytes. */
  bytes: number
}

export function locationText(position: MessagePosition): Location {
  return `${position.writer}/${position.segment}/${position.offset}/${position.bytes}` as Location
}

export function parseLocation(location: Location): MessagePosition {
  const [writer, segment, offset, bytes, rest] = location.split('/')
  const position = { writer: writer ?? '', segment: whole(segment), offset: whole(offset), bytes: whole(bytes) }
  if (
    rest !== undefined ||
    !writerName.test(position.writer) ||
    Number.isNaN(position.segment + position.offset + position.bytes)
  ) {
    throw new RangeError(`spool location "${location}": not created by this spool`)
  }
  return position
}

export function cursorText(segment: number, offset: number): Cursor {
  return `${segment}/${offset}` as Cursor
}

export function parseCursor(cursor: Cursor): { segment: number; offset: number } {
  const [segment, offset, rest] = cursor.split('/')
  const parsed = { segment: whole(segment), offset: whole(offset) }
  if (rest !== undefined || Number.isNaN(parsed.segment + parsed.offset)) {
    throw new RangeError(`spool cursor "${cursor}": not created by this spool`)
  }
  return parsed
}

function whole(text: string | undefined): number {
  return text !== undefined && /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
}
