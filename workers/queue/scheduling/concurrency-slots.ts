import type { Destination } from '../route/destination.ts'
import type { DeliveryInProgress } from './delivery-in-progress.ts'
import type { DestinationQueue } from './destination-queue.ts'

/**
 * Places for deliveries. Each transport has its own, as many as `deliveryThreads` says, so that hosts of strangers that
 * hold up deliveries hold up neither mailboxes nor the hosts that routes name. A delivery that only waits for the other
 * side gives its place up until it goes on.
 */

/** `local`: mailboxes and discard of this machine. `route`: hosts that an administrator named. `remote`: hosts the DNS named. */
export type Transport = 'local' | 'route' | 'remote'

export function transportOf({ kind }: Destination): Transport {
  switch (kind) {
    case 'maildir':
    case 'discard':
      return 'local'
    case 'mx':
    case 'address':
      return 'remote'
    default:
      return 'route'
  }
}

/** Deliveries of one transport that wait without a place; each has a socket. What is more keeps its place. */
const maxSuspended = 1000

export class ConcurrencySlots {
  readonly transport: Transport
  readonly #limit: () => number
  /** Lanes that have their turn, in order. */
  ready: DestinationQueue[] = []
  /** Deliveries that hold a place; of them retries, and those to destinations that have not proved themselves. */
  busy = 0
  busyRetries = 0
  unproven = 0
  /** Deliveries that gave theirs up. */
  suspended = 0
  /** Jobs in the lanes. */
  jobs = 0
  /** Connections that are ready and wait for a place. */
  readonly #resuming: { delivery: DeliveryInProgress; go(): void }[] = []

  constructor(transport: Transport, limit: () => number) {
    this.transport = transport
    this.#limit = limit
  }

  get isFull(): boolean {
    return this.busy >= this.#limit()
  }

  /** Destinations that have not proved themselves hold at most half of the places. */
  isFullFor(queue: DestinationQueue): boolean {
    return this.isFull || (!queue.proven && this.unproven >= Math.max(1, this.#limit() >> 1))
  }

  begin(delivery: DeliveryInProgress): void {
    this.busy++
    if (delivery.job.retry) this.busyRetries++
    if (!delivery.proven) this.unproven++
  }

  #release(delivery: DeliveryInProgress): void {
    this.busy--
    if (delivery.job.retry) this.busyRetries--
    if (!delivery.proven) this.unproven--
    while (this.#resuming.length > 0 && !this.isFull) this.#resuming.shift()?.go()
  }

  end(delivery: DeliveryInProgress): void {
    if (!delivery.suspended) {
      this.#release(delivery)
      return
    }
    this.#setSuspended(delivery, -1)
    const at = this.#resuming.findIndex((each) => each.delivery === delivery)
    if (at >= 0) this.#resuming.splice(at, 1)
  }

  suspend(delivery: DeliveryInProgress): void {
    if (this.suspended >= maxSuspended) return
    this.#setSuspended(delivery, 1)
    this.#release(delivery)
  }

  /** The other side has spoken: the delivery goes on, even if that is one more than there are places. */
  resume(delivery: DeliveryInProgress): void {
    this.#setSuspended(delivery, -1)
    this.begin(delivery)
  }

  /** The same at once when a place is free, and else when one is. */
  resumeWhenFree(delivery: DeliveryInProgress): Promise<void> | undefined {
    if (!this.isFull) {
      this.resume(delivery)
      return undefined
    }
    return new Promise((resolve) => {
      const go = () => {
        this.resume(delivery)
        resolve()
      }
      this.#resuming.push({ delivery, go })
    })
  }

  #setSuspended(delivery: DeliveryInProgress, by: 1 | -1): void {
    delivery.suspended = by === 1
    delivery.queue.suspended += by
    this.suspended += by
  }
}
