import type { Destination } from '../route/destination.ts'
import type { DestinationQueue } from './destination-queue.ts'

/**
 * Concurrency slots of deliveries. Each transport has `deliveryThreads` of its own, so that slow hosts on the Internet delay
 * neither mailboxes nor the hosts of routes. A delivery that only waits for the remote is suspended: it gives its slot up.
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

/** Suspended deliveries of one transport; each has a socket. Further ones keep their slots. */
const maxSuspended = 1000

/** A delivery as its slots see it. `suspended`: it gave its slot up; only the slots set it. */
export type SlotHolder = {
  readonly job: { readonly retry: boolean }
  readonly queue: DestinationQueue
  readonly proven: boolean
  suspended: boolean
}

export class ConcurrencySlots {
  readonly transport: Transport
  readonly #limit: () => number
  /** Destination queues to be served, in order. */
  ready: DestinationQueue[] = []
  /** Deliveries that hold a slot; of them retries, and those to unproven destinations. */
  busy = 0
  busyRetries = 0
  unproven = 0
  /** Deliveries that gave their slots up. */
  suspended = 0
  /** Jobs in the destination queues. */
  jobs = 0
  /** Deliveries whose connection is ready and that wait for a slot. */
  readonly #resuming: { delivery: SlotHolder; go(): void }[] = []

  constructor(transport: Transport, limit: () => number) {
    this.transport = transport
    this.#limit = limit
  }

  get isFull(): boolean {
    return this.busy >= this.#limit()
  }

  /** Unproven destinations hold at most half of the slots. */
  isFullFor(queue: DestinationQueue): boolean {
    return this.isFull || (!queue.proven && this.unproven >= Math.max(1, this.#limit() >> 1))
  }

  begin(delivery: SlotHolder): void {
    this.busy++
    if (delivery.job.retry) this.busyRetries++
    if (!delivery.proven) this.unproven++
  }

  #release(delivery: SlotHolder): void {
    this.busy--
    if (delivery.job.retry) this.busyRetries--
    if (!delivery.proven) this.unproven--
    while (this.#resuming.length > 0 && !this.isFull) this.#resuming.shift()?.go()
  }

  end(delivery: SlotHolder): void {
    if (!delivery.suspended) {
      this.#release(delivery)
      return
    }
    this.#setSuspended(delivery, -1)
    const at = this.#resuming.findIndex((each) => each.delivery === delivery)
    if (at >= 0) this.#resuming.splice(at, 1)
  }

  suspend(delivery: SlotHolder): void {
    if (this.suspended >= maxSuspended) return
    this.#setSuspended(delivery, 1)
    this.#release(delivery)
  }

  /** The remote has replied: the delivery resumes, even if that exceeds the limit by one. */
  resume(delivery: SlotHolder): void {
    this.#setSuspended(delivery, -1)
    this.begin(delivery)
  }

  /** Resumes at once when a slot is free, otherwise when one becomes free. */
  resumeWhenFree(delivery: SlotHolder): Promise<void> | undefined {
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

  #setSuspended(delivery: SlotHolder, by: 1 | -1): void {
    delivery.suspended = by === 1
    delivery.queue.suspended += by
    this.suspended += by
  }
}
