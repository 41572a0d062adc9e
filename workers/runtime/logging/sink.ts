import type { LogLine } from './log-line.ts'

/** A destination of log lines. Accepting a line never waits or throws. Lines that cannot be kept are counted. */
export type Sink = {
  write(line: LogLine): void
  /** Returns the number of lines lost since the last call, and the reason for the last loss. */
  takeDropped(): { count: number; because: string }
  /** Returns why lines are not being sent now, if known. */
  trouble(): string | undefined
  /** Gives waiting lines `graceMs` to be sent, then closes. */
  close(graceMs: number): Promise<void>
}

/** Maximum number of waiting lines and of their bytes. Beyond either, the newest lines are dropped. */
const maxLines = 20_000
const maxBytes = 16 * 1024 * 1024

/** Lines that wait to be sent. */
export class Waiting {
  #lines: string[] = []
  #bytes = 0
  #dropped = 0
  #because = ''

  get size(): number {
    return this.#lines.length
  }

  push(line: string): void {
    if (this.#lines.length >= maxLines || this.#bytes + line.length > maxBytes) {
      this.lost(1, 'too many lines were waiting')
      return
    }
    this.#lines.push(line)
    this.#bytes += line.length
  }

  /** Removes and returns up to `max` lines, oldest first. */
  take(max: number): string[] {
    const taken = this.#lines.splice(0, max)
    for (const line of taken) this.#bytes -= line.length
    return taken
  }

  /** Puts back lines that were taken but not sent, so that they come next. */
  putBack(lines: readonly string[]): void {
    this.#lines.unshift(...lines)
    for (const line of lines) this.#bytes += line.length
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
