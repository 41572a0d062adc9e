import type { Connection } from '../client/connection.ts'
import type { ConcurrencySlot, PipelinedJob } from '../delivery/slot.ts'
import type { DeliveryJob } from '../message/message.ts'
import type { ConcurrencySlots } from './concurrency-slots.ts'
import type { DestinationQueue } from './destination-queue.ts'

/**
 * A delivery in progress. Its progress is checked every `progressCheckMs`. A delivery that makes progress holds a slot; one that
 * waits for a connection (DNS, TCP, greeting, EHLO, TLS), or longer for a reply, is suspended and gives its slot up.
 */

/** Milliseconds between two checks of progress. */
export const progressCheckMs = 250
/** Checks without a byte sent or a reply received until a delivery on a connection is suspended. */
const checksConnected = 20
/** The same for an unproven destination. */
const checksUnproven = 4
/** The same for a delivery without a connection. */
const checksConnecting = 1
/** After this many checks without a connection the destination counts as silent, and its other mail is tried, too. */
const checksSilent = 30_000 / progressCheckMs

type DeliveryOptions = {
  job: DeliveryJob
  queue: DestinationQueue
  slots: ConcurrencySlots
  pipelined: PipelinedJob | undefined
  takeNext: ConcurrencySlot['takeNext']
}

export class DeliveryInProgress implements ConcurrencySlot {
  readonly job: DeliveryJob
  readonly queue: DestinationQueue
  pipelined: PipelinedJob | undefined
  readonly takeNext: ConcurrencySlot['takeNext']
  nextPipelined: PipelinedJob | undefined
  reachable: boolean | undefined
  concluding = false
  abandoned = false
  /** Whether its destination was proven when it started. */
  readonly proven: boolean
  /** It gave its slot up. Set by the slots. */
  suspended = false
  readonly #slots: ConcurrencySlots
  #connection: Connection | undefined
  #progress: number | undefined
  #checksWithoutProgress = 0
  #awaitsSlot = false
  #abort: AbortController | undefined

  constructor({ job, queue, slots, pipelined, takeNext }: DeliveryOptions) {
    this.job = job
    this.queue = queue
    this.pipelined = pipelined
    this.takeNext = takeNext
    this.proven = queue.proven
    this.#slots = slots
  }

  /** Aborts what it waits for when it is abandoned. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    if (this.abandoned) this.#abort.abort()
    return this.#abort.signal
  }

  connecting(): void {
    this.#connection = undefined
    this.#progress = undefined
  }

  connected(connection: Connection): Promise<void> | undefined {
    this.#connection = connection
    this.#progress = undefined
    this.#checksWithoutProgress = 0
    this.queue.silent = false
    if (!this.suspended) return undefined
    const resumed = this.#slots.resumeWhenFree(this)
    this.#awaitsSlot = resumed !== undefined
    return resumed?.then(() => {
      this.#awaitsSlot = false
    })
  }

  /** Returns whether it was suspended just now, or its destination queue may go on. */
  checkProgress(): boolean {
    if (this.#slots.transport === 'local' || this.#awaitsSlot || this.concluding) return false
    const progress = this.#connection?.progress ?? -1
    if (progress !== this.#progress) {
      this.#progress = progress
      this.#checksWithoutProgress = 0
      if (this.suspended && this.#connection) this.#slots.resume(this)
      return false
    }
    this.#checksWithoutProgress++
    if (!this.#connection && this.#checksWithoutProgress === checksSilent) {
      this.queue.silent = true
      return true
    }
    if (this.suspended || this.#checksWithoutProgress < this.#maxChecks) return false
    this.#slots.suspend(this)
    return this.suspended
  }

  get #maxChecks(): number {
    if (!this.#connection) return checksConnecting
    return this.proven ? checksConnected : checksUnproven
  }

  /** Breaks it off: nothing more is sent, and its result is not used. */
  abandon(): void {
    this.abandoned = true
    this.#abort?.abort()
    this.#connection?.destroy()
    this.pipelined?.connection.destroy()
  }
}
