/** The pauses between retries. Each is twice as long as the one before, up to a limit. In milliseconds. */
export type BackOffLimits = { firstMs: number; longestMs: number }

/** Returns the pause after this number of consecutive failures, counted from 1. */
export function pauseAfter(failures: number, { firstMs, longestMs }: BackOffLimits): number {
  return Math.min(longestMs, firstMs * 2 ** Math.min(failures - 1, 30))
}

/** Counts failures and returns the pauses between them. */
export class BackOff {
  readonly #limits: BackOffLimits
  #failures = 0

  constructor(limits: BackOffLimits) {
    this.#limits = limits
  }

  /** Records a failure and returns the pause in milliseconds. */
  next(): number {
    return pauseAfter(++this.#failures, this.#limits)
  }

  /** Records a success, so that the next failure counts as the first. */
  reset(): void {
    this.#failures = 0
  }
}
