import type { Connection } from '../client/connection.ts'
import type { ConcurrencySlots } from './concurrency-slots.ts'
import type { Begun, ConcurrencySlot, DeliveryJob, DestinationQueue } from './destination-queue.ts'

/**
 * A delivery under way. It is looked at every `lookMs`: one that gets on holds a place; one that waits for a connection to
 * be ready (DNS, connecting, greeting, EHLO, TLS), or for a word of the other side for longer, gives it up.
 */

/** Milliseconds between two looks. */
export const lookMs = 250
/** Looks without an octet of ours leaving or a reply coming, until a delivery on a connection is one that waits. */
const looksTalking = 20
/** The same where the destination has not proved itself. */
const looksWithStranger = 4
/** The same for one that has no connection yet. */
const looksCalling = 1
/** After so many looks without a connection the destination counts as silent: its other mail need not wait to hear that. */
const looksSilent = 30_000 / lookMs

type DeliveryOptions = {
  job: DeliveryJob
  lane: DestinationQueue
  places: ConcurrencySlots
  begun: Begun | undefined
  next: ConcurrencySlot['next']
}

export class DeliveryInProgress implements ConcurrencySlot {
  readonly job: DeliveryJob
  readonly lane: DestinationQueue
  begun: Begun | undefined
  readonly next: ConcurrencySlot['next']
  follows: Begun | undefined
  answered: boolean | undefined
  concluding = false
  abandoned = false
  /** Whether its destination had proved itself when it began. */
  readonly proved: boolean
  /** It gave its place up; kept by the places. */
  waits = false
  readonly #places: ConcurrencySlots
  #connection: Connection | undefined
  #progress: number | undefined
  #looks = 0
  #inLine = false
  #abort: AbortController | undefined

  constructor({ job, lane, places, begun, next }: DeliveryOptions) {
    this.job = job
    this.lane = lane
    this.begun = begun
    this.next = next
    this.proved = lane.proved
    this.#places = places
  }

  /** Ends what it waits for when it is abandoned. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    if (this.abandoned) this.#abort.abort()
    return this.#abort.signal
  }

  calls(): void {
    this.#connection = undefined
    this.#progress = undefined
  }

  talks(connection: Connection): Promise<void> | undefined {
    this.#connection = connection
    this.#progress = undefined
    this.#looks = 0
    this.lane.silent = false
    if (!this.waits) return undefined
    const turn = this.#places.takeBackInTurn(this)
    this.#inLine = turn !== undefined
    return turn?.then(() => {
      this.#inLine = false
    })
  }

  /** Answers whether it gave its place up just now, or its lane may go on. */
  look(): boolean {
    if (this.#places.transport === 'local' || this.#inLine || this.concluding) return false
    const progress = this.#connection?.progress ?? -1
    if (progress !== this.#progress) {
      this.#progress = progress
      this.#looks = 0
      if (this.waits && this.#connection) this.#places.takeBack(this)
      return false
    }
    this.#looks++
    if (!this.#connection && this.#looks === looksSilent) {
      this.lane.silent = true
      return true
    }
    if (this.waits || this.#looks < this.#patience) return false
    this.#places.giveUp(this)
    return this.waits
  }

  get #patience(): number {
    if (!this.#connection) return looksCalling
    return this.proved ? looksTalking : looksWithStranger
  }

  /** Breaks it off: nothing more is said, and whatever comes of it is of no interest. */
  abandon(): void {
    this.abandoned = true
    this.#abort?.abort()
    this.#connection?.destroy()
    this.begun?.connection.destroy()
  }
}
