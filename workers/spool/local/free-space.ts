import { statfs } from 'node:fs'

/** Octets a file system has for us; injected in tests. */
export type AskFree = (directory: string, answer: (error: Error | null, octets: number) => void) => void

export const askFree: AskFree = (directory, answer) => {
  statfs(directory, (error, stats) => answer(error, error ? 0 : stats.bavail * stats.bsize))
}

/** Knows, without asking the disk each time, whether there is room: the last answer less everything since. */
export class FreeSpace {
  readonly #directory: string
  readonly reserve: number
  readonly #ask: AskFree
  readonly #timer: NodeJS.Timeout
  #answered = 0
  #writtenSince = 0
  #asking = false
  /** Octets promised to unfinished and waiting messages and not written yet. */
  pending = 0

  constructor(options: { directory: string; reserve: number; ask: AskFree }) {
    this.#directory = options.directory
    this.reserve = options.reserve
    this.#ask = options.ask
    this.#timer = setInterval(() => this.refresh(), 1000)
    this.#timer.unref()
  }

  /** Octets free beyond the reserve and what is pending; negative when the reserve is touched. */
  free(): number {
    return this.#answered - this.#writtenSince - this.pending - this.reserve
  }

  has(octets: number): boolean {
    return this.free() >= octets
  }

  /** May use half of the reserve. */
  hasForCopy(octets: number): boolean {
    return this.free() + this.reserve / 2 >= octets
  }

  /** These octets, pending until now, are written. */
  wrote(octets: number): void {
    this.pending -= octets
    this.#writtenSince += octets
  }

  refresh(settled?: () => void): void {
    if (this.#asking) {
      settled?.()
      return
    }
    this.#asking = true
    const before = this.#writtenSince
    this.#ask(this.#directory, (error, octets) => {
      this.#asking = false
      // What was written while the question was open may or may not be in the answer: count it again.
      this.#writtenSince -= before
      // A file system that cannot answer is not one to accept mail on.
      this.#answered = error ? 0 : octets
      settled?.()
    })
  }

  close(): void {
    clearInterval(this.#timer)
  }
}
