/**
 * Rejects calls for a while after some consecutive failures, so that an unreachable partner does not hold every session
 * for its time-out. Then one call may try; if it succeeds, all calls are allowed again.
 */
export class Breaker {
  readonly #failures: number
  readonly #restMs: number
  readonly #now: () => number
  #inRow = 0
  #until = 0
  #trying = false

  constructor({
    failures = 5,
    restMs = 10_000,
    now = () => performance.now(),
  }: { failures?: number; restMs?: number; now?: () => number } = {}) {
    this.#failures = failures
    this.#restMs = restMs
    this.#now = now
  }

  /** Returns whether a call is allowed now. The caller then reports `worked` or `failed`. */
  mayAsk(): boolean {
    if (this.#inRow < this.#failures) return true
    if (this.#trying || this.#now() < this.#until) return false
    this.#trying = true
    return true
  }

  worked(): void {
    this.#inRow = 0
    this.#trying = false
  }

  failed(): void {
    this.#inRow++
    this.#trying = false
    this.#until = this.#now() + this.#restMs
  }
}
