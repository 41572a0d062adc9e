import type { MessagePosition } from './file-names.ts'
import type { Window } from './scan.ts'

/** Number of windows kept. A message is usually delivered right after it is taken over. */
const keptWindows = 64
const keptOctets = 8 << 20

/**
 * Caches the bytes read last, so that a body needed soon is not read twice. The cache is not trusted: callers verify
 * the bytes.
 */
export class ReadCache {
  readonly #windows: { writer: string; segment: number; start: number; octets: Buffer }[] = []

  #total = 0

  keep(writer: string, segment: number, window: Window): void {
    if (window.octets.length > 2 << 20 || window.found.length === 0) return
    this.#windows.push({ writer, segment, start: window.start, octets: window.octets })
    this.#total += window.octets.length
    while (this.#windows.length > keptWindows || this.#total > keptOctets)
      this.#total -= this.#windows.shift()!.octets.length
  }

  /** Returns a copy, so that one small message does not keep a whole window in memory. */
  recall(spot: MessagePosition): Buffer | undefined {
    for (const { writer, segment, start, octets } of this.#windows) {
      const at = spot.offset - start
      if (segment !== spot.segment || writer !== spot.writer || at < 0 || at + spot.octets > octets.length) continue
      return Buffer.from(octets.subarray(at, at + spot.octets))
    }
    return undefined
  }
}
