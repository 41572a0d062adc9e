/** The pauses between tries of something that fails: each is twice as long as the one before, up to a limit. */
export class BackOff {
  readonly #firstMs: number
  readonly #longestMs: number
  #nextMs: number

  constructor({ firstMs, longestMs }: { firstMs: number; longestMs: number }) {
    this.#firstMs = firstMs
    this.#longestMs = longestMs
    this.#nextMs = firstMs
  }

  /** Milliseconds to wait after this failure. */
  next(): number {
    const pause = this.#nextMs
    this.#nextMs = Math.min(this.#longestMs, pause * 2)
    return pause
  }

  /** It worked: the next failure is a first one again. */
  reset(): void {
    this.#nextMs = this.#firstMs
  }
}
