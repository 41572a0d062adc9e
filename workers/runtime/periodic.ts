/**
 * Repeats a call: `pauseMs` after the previous one has ended, and at once after `soon()`. A call that rejects is
 * repeated at its next time.
 */
export class Periodic {
  readonly #pauseMs: number
  readonly #call: () => Promise<void>
  readonly #signal: AbortSignal
  #timer: NodeJS.Timeout | undefined
  #isStarted = false
  #isRunning = false
  #again = false

  constructor(pauseMs: number, call: () => Promise<void>, signal: AbortSignal) {
    this.#pauseMs = pauseMs
    this.#call = call
    this.#signal = signal
    signal.addEventListener('abort', () => clearTimeout(this.#timer))
  }

  /** Makes the first call now. */
  start(): void {
    this.#isStarted = true
    void this.#run()
  }

  /** Requests a call now. Requests within a few milliseconds are merged into one. Does nothing before `start`. */
  soon(): void {
    if (!this.#isStarted || this.#signal.aborted) return
    if (this.#isRunning) this.#again = true
    else this.#runIn(togetherMs)
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    await this.#call().catch(() => {})
    this.#isRunning = false
    if (!this.#signal.aborted) this.#runIn(this.#again ? togetherMs : this.#pauseMs)
    this.#again = false
  }

  #runIn(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#run(), ms)
  }
}

const togetherMs = 10
