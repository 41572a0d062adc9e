import { BackOff } from '@postern/contract/back-off.ts'

/**
 * Ships batches to storage in the background, one after another. It rests between batches, so that storage has time for
 * other work. After a failure it pauses, longer each time, and sends the same batch again. A batch that storage
 * permanently refuses is not sent again.
 */
export type ShipperOptions<Batch> = {
  /** Returns the next batch; `undefined` if there is none. Called again after a failed or refused batch. */
  next: () => Batch | undefined | Promise<Batch | undefined>
  send: (batch: Batch) => Promise<void>
  /** Storage answered with one of `refusals`: it would refuse this batch again. */
  refused: (batch: Batch, error: unknown) => void | Promise<void>
  /** HTTP status codes; default 400, 413 and 422. Any other failure is temporary. */
  refusals?: readonly number[]
  /** Returns the milliseconds to rest after storage took `tookMs` for a batch. */
  restMs: (tookMs: number) => number
  /** Pauses after failures. */
  pauses: { firstMs: number; longestMs: number }
  /** Called at most once for a run of failures and refusals. */
  failed?: (error: unknown) => void
}

/** Status codes of the API for a request that can never succeed. */
const defaultRefusals = [400, 413, 422]

export class Shipper<Batch> {
  readonly #options: ShipperOptions<Batch>
  readonly #backOff: BackOff
  #isFailing = false
  #wanted = false
  #running: Promise<void> | undefined
  #closing = false
  #endPause: (() => void) | undefined
  #isResting = false

  constructor(options: ShipperOptions<Batch>) {
    this.#options = options
    this.#backOff = new BackOff(options.pauses)
  }

  /** Starts shipping if it is idle, until nothing waits. */
  wake(): void {
    this.#wanted = true
    if (this.#closing) return
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
      if (this.#wanted) this.wake()
    })
  }

  /** Like `wake`, and ends a rest, because a full batch waits. A pause after a failure is not ended. */
  hurry(): void {
    if (this.#isResting) this.#endPause?.()
    this.wake()
  }

  /** Ships waiting batches without rest. Ends when none are left, at the first failure, or after `graceMs`. */
  async close(graceMs: number): Promise<void> {
    this.#closing = true
    this.#endPause?.()
    let timer: NodeJS.Timeout | undefined
    const grace = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, graceMs)
    })
    await Promise.race([this.#finish(), grace])
    clearTimeout(timer)
  }

  async #finish(): Promise<void> {
    await this.#running
    while ((await this.#shipNext()) === 'shipped');
  }

  async #run(): Promise<void> {
    while (!this.#closing) {
      this.#wanted = false
      const startedAt = performance.now()
      const result = await this.#shipNext()
      if (result === 'nothing waits') {
        // `wake` was called during the check.
        if (this.#wanted) continue
        return
      }
      if (result === 'failed') await this.#pause(this.#backOff.next())
      else {
        this.#backOff.reset()
        this.#isResting = true
        await this.#pause(this.#options.restMs(performance.now() - startedAt))
        this.#isResting = false
      }
    }
  }

  /** Ships the next batch. Never rejects. */
  async #shipNext(): Promise<'shipped' | 'failed' | 'nothing waits'> {
    let batch: Batch | undefined
    try {
      batch = await this.#options.next()
      if (batch === undefined) return 'nothing waits'
      await this.#options.send(batch)
      this.#isFailing = false
      return 'shipped'
    } catch (error) {
      if (!this.#isFailing) this.#options.failed?.(error)
      this.#isFailing = true
      if (batch !== undefined && this.#isRefusal(error)) {
        await this.#options.refused(batch, error)
        return 'shipped'
      }
      return 'failed'
    }
  }

  #isRefusal(error: unknown): boolean {
    const { refusals = defaultRefusals } = this.#options
    return refusals.includes((error as { status?: number }).status ?? 0)
  }

  /** Pauses. Ends early on close. */
  #pause(ms: number): Promise<void> {
    if (this.#closing || ms <= 0) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#endPause = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
