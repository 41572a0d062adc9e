import type { MessagePosition } from './file-names.ts'
import type { Window } from './scan.ts'

/** Number of windows kept. A message is usually delivered right after it is taken over. */
const keptWindows = 64
const keptBytes = 8 << 20

/**
 * Caches the bytes read last, so that a body needed soon is not read twice. The cache is not trusted: callers verify
 * the bytes.
 */
export class ReadCache {
  readonly #windows: { writer: string; segment: number; start: number; bytes: Buffer }[] = []

  #total = 0

  keep(writer: string, segment: number, window: Window): void {
    if (window.bytes.length > 2 << 20 || window.found.length === 0) return
    this.#windows.push({ writer, segment, start: window.start, bytes: window.bytes })
    this.#total += window.bytes.length
    while (this.#windows.length > keptWindows || this.#total > keptBytes)
      this.#total -= this.#windows.shift()!.bytes.length
  }

  /** Returns a copy, so that one small message does not keep a whole window in memory. */
  recall(position: MessagePosition): Buffer | undefined {
    for (const { writer, segment, start, bytes } of this.#windows) {
      const at = position.offset - start
      if (segment !== position.segment || writer !== position.writer || at < 0 || at + position.bytes > bytes.length)
        continue
      return Buffer.from(bytes.subarray(at, at + position.bytes))
    }
    return undefined
  }
}
