import { isAscii } from 'node:buffer'
import { Thread } from '@postern/net/thread.ts'
import { LongLines } from './long-lines.ts'
import type { ConversionScan, Reading } from './seven-bit.ts'

/**
 * Makes messages fit for servers: without 8BITMIME, or for all of them where lines are too long. In a thread of its own. They go there and come back in pieces, one at a
 * time for each message: however many there are and however large, a piece of each is in memory.
 */

export type ConvertRequest =
  /** Without `changes` it is surveyed. */
  | { kind: 'begin'; id: number; changes?: readonly boolean[]; reading: Reading }
  | { kind: 'piece'; id: number; bytes: Uint8Array }
  | { kind: 'end'; id: number }
  | { kind: 'drop'; id: number }
export type ConvertResponse = { id: number; error?: string; bytes?: Uint8Array; survey?: ConversionScan }

/** A message that can be read as often as is needed. */
export type Source = () => AsyncIterable<Buffer>
export type Conversion =
  | { kind: 'none' }
  | { kind: 'unfit'; why: string }
  /** `stream`: as often as is needed. */
  | { kind: 'converted'; bytes: number; stream: Source }

export class Converter {
  readonly #thread = new Thread<ConvertRequest, ConvertResponse>({
    script: new URL('./convert-thread.ts', import.meta.url),
    task: 'converting',
    timeoutMs: 30_000,
  })

  /** Rejects when the message cannot be read. */
  async convert(message: Source, { onlyLines = false }: { onlyLines?: boolean } = {}): Promise<Conversion> {
    if (await isFit(message(), onlyLines)) return { kind: 'none' }
    const survey = await this.#survey(message(), onlyLines)
    const { changes, unfit, folds = false, isEightBit = false } = survey
    if (unfit !== undefined) return { kind: 'unfit', why: unfit }
    if (!changes.includes(true) && !folds) return { kind: 'none' }
    const stream = () => this.#pieces(message(), changes, { onlyLines, folds, isEightBit })
    let bytes = 0
    for await (const piece of stream()) bytes += piece.length
    return { kind: 'converted', bytes, stream }
  }

  async #survey(message: AsyncIterable<Buffer>, onlyLines: boolean): Promise<ConversionScan> {
    const pieces = this.#through(message, { onlyLines })
    for (;;) {
      const { value, done } = await pieces.next()
      if (done) return value
    }
  }

  async *#pieces(
    message: AsyncIterable<Buffer>,
    changes: readonly boolean[],
    reading: Reading,
  ): AsyncGenerator<Buffer> {
    yield* this.#through(message, reading, changes)
  }

  async *#through(
    message: AsyncIterable<Buffer>,
    reading: Reading,
    changes?: readonly boolean[],
  ): AsyncGenerator<Buffer, ConversionScan> {
    const id = this.#thread.nextId()
    this.#thread.post({ kind: 'begin', id, reading, ...(changes ? { changes } : {}) })
    try {
      for await (const whole of message)
        for (const bytes of inPieces(whole)) {
          const response = await this.#thread.ask({ kind: 'piece', id, bytes })
          if (response.bytes?.length) yield asBuffer(response.bytes)
        }
      const response = await this.#thread.ask({ kind: 'end', id })
      if (response.bytes?.length) yield asBuffer(response.bytes)
      return response.survey ?? { changes: [] }
    } finally {
      this.#thread.post({ kind: 'drop', id })
    }
  }

  close(): Promise<void> {
    return this.#thread.close()
  }
}

/** So that many messages take turns on the thread. */
const pieceBytes = 65_536

function* inPieces(bytes: Buffer): Generator<Uint8Array> {
  // A copy of its own: with a view goes all the memory that it looks at.
  for (let from = 0; from < bytes.length; from += pieceBytes)
    yield new Uint8Array(bytes.subarray(from, from + pieceBytes))
}

function asBuffer({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length)
}

/** Whether it may go as it is. Native code looks at the bytes, so the event loop has time for it. */
async function isFit(message: AsyncIterable<Buffer>, onlyLines: boolean): Promise<boolean> {
  const lines = new LongLines()
  for await (const bytes of message) {
    if (!onlyLines && !isAscii(bytes)) return false
    lines.take(bytes)
    if (lines.found) return false
  }
  return true
}
