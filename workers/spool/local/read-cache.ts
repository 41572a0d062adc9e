import type { MessagePosition } from './file-names.ts'
import type { Window } from './scan.ts'

/** Number of pieces kept. A message is usually delivered right after it is taken over. */
const keptPieces = 64
const keptBytes = 8 << 20

/**
 * Caches the bytes read last, so that a body needed soon is neither read nor verified twice. It keeps only bytes in which
 * nothing is damaged: every shared record that lies whole in them was verified.
 */
export class ReadCache {
  readonly #pieces: { writer: string; segment: number; start: number; bytes: Buffer }[] = []

  #total = 0

  keep(writer: string, segment: number, { earlier, piece, gaps }: Window): void {
    if (gaps.length > 0) return
    for (const { start, bytes, verified } of [...earlier, piece]) {
      if (bytes.length > 2 << 20 || verified === 0) continue
      this.#pieces.push({ writer, segment, start, bytes })
      this.#total += bytes.length
    }
    while (this.#pieces.length > keptPieces || this.#total > keptBytes)
      this.#total -= this.#pieces.shift()!.bytes.length
  }

  /** Returns the record at this position, to be copied: a reference to it keeps its whole piece in memory. */
  recall(position: MessagePosition): Buffer | undefined {
    for (const { writer, segment, start, bytes } of this.#pieces) {
      const at = position.offset - start
      if (segment !== position.segment || writer !== position.writer || at < 0 || at + position.bytes > bytes.length)
        continue
      return bytes.subarray(at, at + position.bytes)
    }
    return undefined
  }
}
