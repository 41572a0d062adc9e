/** The pauses between tries of something that fails: each is twice as long as the one before, up to a limit. Milliseconds. */
export type BackOffLimits = { firstMs: number; longestMs: number }

/** The pause after so many failures in a row, from 1. */
export function pauseAfter(failures: number, { firstMs, longestMs }: BackOffLimits): number {
  return Math.min(longestMs, firstMs * 2 ** Math.min(failures - 1, 30))
}

/** Counts the failures. */
export class BackOff {
  readonly #limits: BackOffLimits
  #failures = 0

  constructor(limits: BackOffLimits) {
    this.#limits = limits
  }

  /** Milliseconds to wait after this failure. */
  next(): number {
    return pauseAfter(++this.#failures, this.#limits)
  }

  /** It worked: the next failure is a first one again. */
  reset(): void {
    this.#failures = 0
  }
}
