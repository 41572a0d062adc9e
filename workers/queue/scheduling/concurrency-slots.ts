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
const maxWaiting = 1000

export class ConcurrencySlots {
  readonly transport: Transport
  readonly #most: () => number
  /** Lanes that have their turn, in order. */
  ring: DestinationQueue[] = []
  /** Deliveries that hold a place; of them retries, and those to destinations that have not proved themselves. */
  busy = 0
  busyRetries = 0
  unproved = 0
  /** Deliveries that gave theirs up. */
  waiting = 0
  /** Jobs in the lanes. */
  jobs = 0
  /** Connections that are ready and wait for a place. */
  readonly #line: { delivery: DeliveryInProgress; go(): void }[] = []

  constructor(transport: Transport, most: () => number) {
    this.transport = transport
    this.#most = most
  }

  get isFull(): boolean {
    return this.busy >= this.#most()
  }

  /** Destinations that have not proved themselves hold at most half of the places. */
  isFullFor(lane: DestinationQueue): boolean {
    return this.isFull || (!lane.proved && this.unproved >= Math.max(1, this.#most() >> 1))
  }

  begin(delivery: DeliveryInProgress): void {
    this.busy++
    if (delivery.job.retry) this.busyRetries++
    if (!delivery.proved) this.unproved++
  }

  #release(delivery: DeliveryInProgress): void {
    this.busy--
    if (delivery.job.retry) this.busyRetries--
    if (!delivery.proved) this.unproved--
    while (this.#line.length > 0 && !this.isFull) this.#line.shift()?.go()
  }

  end(delivery: DeliveryInProgress): void {
    if (!delivery.waits) {
      this.#release(delivery)
      return
    }
    this.#wait(delivery, -1)
    const at = this.#line.findIndex((each) => each.delivery === delivery)
    if (at >= 0) this.#line.splice(at, 1)
  }

  giveUp(delivery: DeliveryInProgress): void {
    if (this.waiting >= maxWaiting) return
    this.#wait(delivery, 1)
    this.#release(delivery)
  }

  /** The other side has spoken: the delivery goes on, even if that is one more than there are places. */
  takeBack(delivery: DeliveryInProgress): void {
    this.#wait(delivery, -1)
    this.begin(delivery)
  }

  /** The same at once when a place is free, and else when one is. */
  takeBackInTurn(delivery: DeliveryInProgress): Promise<void> | undefined {
    if (!this.isFull) {
      this.takeBack(delivery)
      return undefined
    }
    return new Promise((resolve) => {
      const go = () => {
        this.takeBack(delivery)
        resolve()
      }
      this.#line.push({ delivery, go })
    })
  }

  #wait(delivery: DeliveryInProgress, by: 1 | -1): void {
    delivery.waits = by === 1
    delivery.lane.waiting += by
    this.waiting += by
  }
}
