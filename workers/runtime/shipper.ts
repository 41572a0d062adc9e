import { BackOff } from '@postern/contract/back-off.ts'

/**
 * Batches on their way to storage, one after another, behind what goes on. Between two it rests, so that storage has time
 * for others; after a failure it pauses, longer each time, and sends the same batch again; what storage refuses for good is
 * not sent again.
 */
export type ShipperOptions<Batch> = {
  /** What goes next; `undefined`: nothing does. Asked again for a batch that failed, and after one that was refused. */
  next: () => Batch | undefined | Promise<Batch | undefined>
  send: (batch: Batch) => Promise<void>
  /** Storage answered with one of `refusals`: it would refuse this batch again. */
  refused: (batch: Batch, error: unknown) => void | Promise<void>
  /** HTTP status codes; 400, 413 and 422 without it. Any other failure is one for now. */
  refusals?: readonly number[]
  /** Milliseconds to rest after storage took `tookMs` for a batch. */
  restMs: (tookMs: number) => number
  /** After failures. */
  pauses: { firstMs: number; longestMs: number }
  /** Called at most once for a run of failures and refusals. */
  failed?: (error: unknown) => void
}

/** What the API answers to a request that is wrong however often it comes. */
const defaultRefusals = [400, 413, 422]

export class Shipper<Batch> {
  readonly #options: ShipperOptions<Batch>
  readonly #backOff: BackOff
  #isFailing = false
  #wanted = false
  #running: Promise<void> | undefined
  #closing = false
  #endPause: (() => void) | undefined

  constructor(options: ShipperOptions<Batch>) {
    this.#options = options
    this.#backOff = new BackOff(options.pauses)
  }

  /** Something may wait: ships until nothing does. */
  wake(): void {
    this.#wanted = true
    if (this.#closing) return
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
      if (this.#wanted) this.wake()
    })
  }

  /** Ships what waits, without rest. Ends when nothing does, at the first failure, or after `graceMs`. */
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
        // Woken while it looked.
        if (this.#wanted) continue
        return
      }
      if (result === 'failed') await this.#pause(this.#backOff.next())
      else {
        this.#backOff.reset()
        await this.#pause(this.#options.restMs(performance.now() - startedAt))
      }
    }
  }

  /** Never rejects. */
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
      if (batch !== undefined && this.#isRefusal(error)) {
        await this.#options.refused(batch, error)
        return 'shipped'
      }
      this.#isFailing = true
      return 'failed'
    }
  }

  #isRefusal(error: unknown): boolean {
    const { refusals = defaultRefusals } = this.#options
    return refusals.includes((error as { status?: number }).status ?? 0)
  }

  /** Ends early when it is closed. */
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
