import type { LogLine } from './log-line.ts'

/** Where lines go. Taking one never waits and never throws; what cannot be kept is counted. */
export type Sink = {
  write(line: LogLine): void
  /** Lines that were lost since the last call, and why the last of them was. */
  takeDropped(): { count: number; because: string }
  /** Why lines do not go out now, as far as is known. */
  trouble(): string | undefined
  /** Gives what waits `graceMs` to go out, then lets go. */
  close(graceMs: number): Promise<void>
}

/** Lines that may wait, and their octets: past either the newest are dropped. */
const maxLines = 20_000
const maxOctets = 16 * 1024 * 1024

/** Lines that wait for a way out. */
export class Waiting {
  #lines: string[] = []
  #octets = 0
  #dropped = 0
  #because = ''

  get size(): number {
    return this.#lines.length
  }

  push(line: string): void {
    if (this.#lines.length >= maxLines || this.#octets + line.length > maxOctets) {
      this.lost(1, 'more lines waited than are kept')
      return
    }
    this.#lines.push(line)
    this.#octets += line.length
  }

  /** Takes up to `most` lines out, oldest first. */
  take(max: number): string[] {
    const taken = this.#lines.splice(0, max)
    for (const line of taken) this.#octets -= line.length
    return taken
  }

  /** What was taken and did not go out: it is the next again. */
  putBack(lines: readonly string[]): void {
    this.#lines.unshift(...lines)
    for (const line of lines) this.#octets += line.length
  }

  lost(count: number, because: string): void {
    this.#dropped += count
    this.#because = because
  }

  takeDropped(): { count: number; because: string } {
    const dropped = { count: this.#dropped, because: this.#because }
    this.#dropped = 0
    return dropped
  }
}
