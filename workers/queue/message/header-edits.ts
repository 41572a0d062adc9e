import { Readable } from 'node:stream'
import type { Location, SpoolReader } from '@postern/spool/spool.ts'
import { release } from './release.ts'

/**
 * How a message differs from what is stored when it is delivered: lines that go before it, and fields of its header
 * that are left out. The stored bytes never change; everything that reads a message to deliver or return it reads it
 * through here. A stream stays a stream: only one chunk is in memory.
 */
export type HeaderEdits = {
  /** Whole header fields, each ending in CRLF, one character a byte (latin1). Empty: none. */
  readonly lines: string
  /** Bytes of the stored message that are left out, `[from, to)`: in order, apart, whole header fields. */
  readonly cuts: readonly (readonly [from: number, to: number])[]
}

export const noEdits: HeaderEdits = { lines: '', cuts: [] }

/** The same with more lines on top, e.g. a signature. */
export function withLines(edits: HeaderEdits, lines: string): HeaderEdits {
  return { lines: lines + edits.lines, cuts: edits.cuts }
}

/** As the index keeps it. */
export function editsText(edits: HeaderEdits): string {
  return JSON.stringify([edits.lines, edits.cuts])
}

export function editsFrom(text: string): HeaderEdits | undefined {
  if (text === '') return undefined
  const [lines, cuts] = JSON.parse(text) as [string, HeaderEdits['cuts']]
  return { lines, cuts }
}

/** Bytes of the message as it is delivered. */
export function deliveredBytes({
  bytes,
  headerEdits,
}: {
  bytes: number
  headerEdits: HeaderEdits | undefined
}): number {
  if (!headerEdits) return bytes
  return headerEdits.cuts.reduce((sum, [from, to]) => sum - (to - from), bytes + headerEdits.lines.length)
}

/** `location` changes when the message is copied on. */
type Stored = { location: Location; readonly headerEdits: HeaderEdits | undefined }

/** The message as it is delivered, whole. A message that is copied on while it is read is read again where it lies now. */
export async function readDelivered(mail: Stored, reader: SpoolReader): Promise<Buffer> {
  const stored = await readStored(mail, reader)
  const delivered = withEdits(stored, mail.headerEdits)
  if (delivered !== stored) release(stored)
  return delivered
}

async function readStored(mail: Stored, reader: SpoolReader): Promise<Buffer> {
  const { location } = mail
  try {
    return await reader.readBody(location)
  } catch (error) {
    if (mail.location === location) throw error
    return reader.readBody(mail.location)
  }
}

/** The message as it is delivered, as a stream that fails as the stored one does: never complete a delivery whose stream did not end. */
export function openDelivered(mail: Stored, reader: SpoolReader): Readable {
  return streamWithEdits(reader.openBody(mail.location), mail.headerEdits)
}

export function withEdits(stored: Buffer, edits: HeaderEdits | undefined): Buffer {
  if (!edits || edits === noEdits) return stored
  return Buffer.concat([Buffer.from(edits.lines, 'latin1'), ...new Cutter(edits.cuts).keep(stored)])
}

export function streamWithEdits(stored: Readable, edits: HeaderEdits | undefined): Readable {
  if (!edits || edits === noEdits) return stored
  const delivered = Readable.from(pieces(stored, edits), { objectMode: false })
  // Whoever stops reading, even before the first byte, closes the stored message with it.
  return delivered.once('close', () => stored.destroy())
}

async function* pieces(stored: Readable, { lines, cuts }: HeaderEdits): AsyncGenerator<Buffer> {
  if (lines !== '') yield Buffer.from(lines, 'latin1')
  const cutter = new Cutter(cuts)
  for await (const chunk of stored) yield* cutter.keep(chunk as Buffer)
}

/** Takes a message in pieces and gives what is left of each. */
class Cutter {
  readonly #cuts: HeaderEdits['cuts']
  #next = 0
  #at = 0

  constructor(cuts: HeaderEdits['cuts']) {
    this.#cuts = cuts
  }

  keep(chunk: Buffer): Buffer[] {
    const start = this.#at
    const end = start + chunk.length
    this.#at = end
    const kept: Buffer[] = []
    let from = start
    for (let cut = this.#cuts[this.#next]; cut && cut[0] < end; cut = this.#cuts[this.#next]) {
      if (cut[0] > from) kept.push(chunk.subarray(from - start, cut[0] - start))
      from = Math.min(cut[1], end)
      // It goes on in the next piece.
      if (cut[1] > end) break
      this.#next++
    }
    if (from < end) kept.push(chunk.subarray(from - start))
    return kept
  }
}
