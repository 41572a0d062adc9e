import { statfs } from 'node:fs'

/** Returns the free bytes of a file system. Tests inject their own. */
export type AskFree = (directory: string, answer: (error: Error | null, bytes: number) => void) => void

export const askFree: AskFree = (directory, answer) => {
  statfs(directory, (error, stats) => answer(error, error ? 0 : stats.bavail * stats.bsize))
}

/** Tracks free space without asking the disk each time: the last answer minus everything written since. */
export class FreeSpace {
  readonly #directory: string
  readonly reserve: number
  readonly #ask: AskFree
  readonly #timer: NodeJS.Timeout
  #answered = 0
  #writtenSince = 0
  #asking = false
  /** Bytes reserved for unfinished and waiting messages that are not written yet. */
  pending = 0

  constructor(options: { directory: string; reserve: number; ask: AskFree }) {
    this.#directory = options.directory
    this.reserve = options.reserve
    this.#ask = options.ask
    this.#timer = setInterval(() => this.refresh(), 1000)
    this.#timer.unref()
  }

  /** Returns the free bytes beyond the reserve and pending data; negative if the reserve is in use. */
  free(): number {
    return this.#answered - this.#writtenSince - this.pending - this.reserve
  }

  has(bytes: number): boolean {
    return this.free() >= bytes
  }

  /** Returns whether there is room for a copy, which may use half of the reserve. */
  hasForCopy(bytes: number): boolean {
    return this.free() + this.reserve / 2 >= bytes
  }

  /** Records that these pending bytes are now written. */
  wrote(bytes: number): void {
    this.pending -= bytes
    this.#writtenSince += bytes
  }

  refresh(settled?: () => void): void {
    if (this.#asking) {
      settled?.()
      return
    }
    this.#asking = true
    const before = this.#writtenSince
    this.#ask(this.#directory, (error, bytes) => {
      this.#asking = false
      // The answer may or may not include data written while the query was running, so count that data again.
      this.#writtenSince -= before
      // A file system that cannot answer must not be used to accept mail.
      this.#answered = error ? 0 : bytes
      settled?.()
    })
  }

  close(): void {
    clearInterval(this.#timer)
  }
}
