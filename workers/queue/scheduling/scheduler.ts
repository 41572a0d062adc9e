import { LRUCache } from 'lru-cache'
import type { ConcurrencySlot, PipelinedJob } from '../delivery/slot.ts'
import type { DeliveryJob, QueuedMessage } from '../message/message.ts'
import { type DeliverySettings, throttleFor } from '../route/delivery-settings.ts'
import { type NextHop, nextHopFor } from '../route/destination.ts'
import { ConcurrencySlots, type Transport, transportOf } from './concurrency-slots.ts'
import { DeliveryInProgress, progressCheckMs } from './delivery-in-progress.ts'
import { deliveryJobsFor } from './delivery-jobs.ts'
import { DestinationQueue, minuteMs } from './destination-queue.ts'

/**
 * Decides which destination is served next. Destination queues with jobs are served round-robin within their transport: each
 * delivers a few messages and goes to the end, so that a domain with a million messages does not delay the others. Limits are
 * read from the settings at each step.
 */
export type SchedulerOptions = {
  settings(): DeliverySettings
  /** Makes one delivery and settles it, unless it is abandoned meanwhile; never rejects. */
  deliver(job: DeliveryJob, queue: DestinationQueue, slot: ConcurrencySlot): Promise<void>
  /** Puts a job back that was being delivered: it is tried again, and nothing is counted. Never rejects. */
  putBack(job: DeliveryJob, queue: DestinationQueue): Promise<void>
  /** Prepares a message for delivery; never rejects. `undefined`: there is nothing to do. */
  prepare?(mail: QueuedMessage): Promise<void> | undefined
  /** A destination queue has room again, or all are empty: more may be loaded. */
  drained(): void
}

/** Messages that a destination queue delivers before the next one is served. */
const messagesPerTurn = 20
/** Jobs in memory: of one transport, of one destination, and of one whose host has not replied yet. Further ones wait in the index. */
export const maxJobs = 20_000
const maxOfDestination = 5_000
const maxProbing = 50
/** Destinations that took mail, and for how long they count as proven. */
const maxProven = 50_000
const provenForMs = 3_600_000
/** Milliseconds for recording the outcomes of what ended by itself when everything else is broken off. */
const concludingMs = 5_000

export class Scheduler {
  readonly #options: SchedulerOptions
  readonly #queues = new Map<string, DestinationQueue>()
  /** Queues from before the last change of routes that were throttled within a minute of it: their limits still apply. */
  readonly #previous = new Map<string, DestinationQueue>()
  /** Recipients of messages that are being prepared. */
  readonly #preparing = new Map<QueuedMessage, Set<number>>()
  readonly #proven = new LRUCache<string, true>({ max: maxProven, ttl: provenForMs })
  readonly #slots: { readonly [transport in Transport]: ConcurrencySlots }
  readonly #underWay = new Set<DeliveryInProgress>()
  #running = false
  #timer: NodeJS.Timeout | undefined
  #progressTimer: NodeJS.Timeout | undefined
  #idle: (() => void)[] = []
  #beingPrepared = 0
  /** Deliveries ended since the start. */
  done = 0

  constructor(options: SchedulerOptions) {
    this.#options = options
    const limit = () => options.settings().queue.deliveryThreads
    this.#slots = {
      local: new ConcurrencySlots('local', limit),
      route: new ConcurrencySlots('route', limit),
      remote: new ConcurrencySlots('remote', limit),
    }
  }

  get #transports(): ConcurrencySlots[] {
    return Object.values(this.#slots)
  }

  /** Deliveries in progress, suspended ones included. */
  get busy(): number {
    return this.#underWay.size
  }

  get suspended(): number {
    return this.#transports.reduce((sum, { suspended }) => sum + suspended, 0)
  }

  /** Jobs in memory that are not being delivered. */
  get jobs(): number {
    const { local, route, remote } = this.#slots
    return local.jobs + route.jobs + remote.jobs + this.#beingPrepared
  }

  /** The same without those whose host has not replied yet. */
  get jobsNotProbing(): number {
    let probing = 0
    for (const queue of this.#queues.values()) if (queue.isProbing) probing += queue.length
    return this.jobs - probing
  }

  /** Puts recipients of a message into their destination queues. Returns those for which there is no room. */
  add(mail: QueuedMessage, recipients: readonly number[]): number[] {
    const preparing = this.#preparing.get(mail)
    const prepared = preparing ?? this.#options.prepare?.(mail)
    if (prepared) return this.#addLater(mail, recipients, prepared)
    return this.#addNow(mail, recipients)
  }

  #addNow(mail: QueuedMessage, recipients: readonly number[]): number[] {
    const settings = this.#options.settings()
    const noRoom: number[] = []
    for (const job of deliveryJobsFor(mail, recipients, settings)) {
      const queue = this.#queueFor(job, settings)
      if (this.#roomIn(queue, maxOfDestination) <= 0) noRoom.push(...job.recipients)
      else this.#enqueue(queue, job)
    }
    this.pump()
    return noRoom
  }

  /** They count as jobs meanwhile, and an order may withdraw them. */
  #addLater(mail: QueuedMessage, recipients: readonly number[], preparing: Set<number> | Promise<void>): number[] {
    if (this.jobs + recipients.length > 3 * maxJobs) return [...recipients]
    this.#beingPrepared += recipients.length
    if (!(preparing instanceof Promise)) {
      for (const r of recipients) preparing.add(r)
      return []
    }
    const waiting = new Set(recipients)
    this.#preparing.set(mail, waiting)
    void preparing.then(() => {
      this.#preparing.delete(mail)
      this.#beingPrepared -= waiting.size
      const settings = this.#options.settings()
      for (const job of deliveryJobsFor(mail, [...waiting], settings)) this.#enqueue(this.#queueFor(job, settings), job)
      this.pump()
    })
    return []
  }

  /** How many more recipients of this domain may be loaded, and by which transport they go. */
  roomFor(domain: string): { transport: Transport; limit: number } {
    const nextHop = nextHopFor(this.#options.settings(), { address: `x@${domain}` })
    const transport = transportOf(nextHop.destination)
    const queue = this.#queues.get(nextHop.key)
    return { transport, limit: queue ? this.#roomIn(queue, 500) : Math.min(this.roomOf(transport), 500) }
  }

  roomOf(transport: Transport): number {
    return Math.max(0, maxJobs - this.#slots[transport].jobs)
  }

  #roomIn(queue: DestinationQueue, limit: number): number {
    const ofQueue = (queue.isProbing ? Math.min(limit, maxProbing) : limit) - queue.length
    return Math.max(0, Math.min(this.roomOf(transportOf(queue.nextHop.destination)), ofQueue))
  }

  #queueFor(job: DeliveryJob, settings: DeliverySettings): DestinationQueue {
    const to = job.mail.envelope.recipients[job.recipients[0] as number]
    const nextHop = nextHopFor(settings, to ?? { address: '' }, job.mail.rerouted)
    return this.#queues.get(nextHop.key) ?? this.#open(nextHop)
  }

  #open(nextHop: NextHop): DestinationQueue {
    const queue = new DestinationQueue(nextHop)
    queue.proven = transportOf(nextHop.destination) !== 'remote' || this.#proven.has(nextHop.key)
    const previous = this.#previous.get(nextHop.key)
    if (previous) queue.inheritThrottle(previous)
    this.#queues.set(nextHop.key, queue)
    return queue
  }

  #slotsOf(queue: DestinationQueue): ConcurrencySlots {
    return this.#slots[transportOf(queue.nextHop.destination)]
  }

  #enqueue(queue: DestinationQueue, job: DeliveryJob): void {
    queue.add(job)
    this.#slotsOf(queue).jobs++
    this.#makeReady(queue)
  }

  #makeReady(queue: DestinationQueue): void {
    if (queue.isReady || queue.length === 0) return
    queue.isReady = true
    this.#slotsOf(queue).ready.push(queue)
  }

  start(): void {
    this.#running = true
    this.refresh()
  }

  /** Starts no more deliveries. Resolves when those in progress have ended, or after `ms`: the rest is broken off and put back. */
  async stop(ms = Number.POSITIVE_INFINITY): Promise<void> {
    this.#running = false
    clearTimeout(this.#timer)
    this.#timer = undefined
    await this.#untilIdle(ms)
    await Promise.all([...this.#underWay].flatMap((delivery) => this.#abandon(delivery)))
    await this.#untilIdle(concludingMs)
  }

  async #untilIdle(ms: number): Promise<void> {
    if (this.busy === 0) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#idle.push(resolve)
      if (Number.isFinite(ms)) timer = setTimeout(resolve, ms)
    })
    clearTimeout(timer)
  }

  #abandon(delivery: DeliveryInProgress): Promise<void>[] {
    if (delivery.concluding) return []
    const { job, queue, nextPipelined } = delivery
    delivery.abandon()
    this.#end(delivery)
    return [job, ...(nextPipelined ? [nextPipelined.job] : [])].map((each) => this.#options.putBack(each, queue))
  }

  /** After a change of routes: jobs move to the destination queue that is right now. */
  reroute(): void {
    const queues = [...this.#queues.values()]
    const aMinuteAgo = performance.now() - minuteMs
    for (const queue of queues) if (queue.throttledSince(aMinuteAgo)) this.#previous.set(queue.nextHop.key, queue)
    for (const [name, queue] of this.#previous) if (!queue.throttledSince(aMinuteAgo)) this.#previous.delete(name)
    this.#queues.clear()
    for (const slots of this.#transports) Object.assign(slots, { ring: [], jobs: 0 })
    const settings = this.#options.settings()
    for (const queue of queues) {
      for (const job of queue.drain()) {
        for (const again of deliveryJobsFor(job.mail, job.recipients, settings))
          this.#enqueue(this.#queueFor(again, settings), again)
      }
    }
    this.pump()
  }

  /** Limits may have changed: every destination queue with jobs is served again. */
  refresh(): void {
    for (const queue of this.#queues.values()) this.#makeReady(queue)
    this.pump()
  }

  /** Removes a message's jobs from their queues. Returns the recipients, which were not being delivered. */
  withdraw(mail: QueuedMessage): number[] {
    const jobs = [...this.#queues.values()].flatMap((queue) => {
      const drained = queue.drain(mail)
      this.#slotsOf(queue).jobs -= drained.length
      return drained
    })
    const preparing = this.#preparing.get(mail)
    const waiting = [...(preparing ?? [])]
    preparing?.clear()
    this.#beingPrepared -= waiting.length
    return [...jobs.flatMap((job) => job.recipients), ...waiting]
  }

  pump(): void {
    if (!this.#running) return
    const settings = this.#options.settings()
    const now = performance.now()
    for (const slots of this.#transports) if (slots.ready.length > 0) this.#serve(slots, settings, now)
  }

  #serve(slots: ConcurrencySlots, settings: DeliverySettings, now: number): void {
    let blocked = 0
    while (!slots.isFull && blocked < slots.ready.length) {
      const queue = slots.ready.shift() as DestinationQueue
      queue.isReady = false
      // It is ready again when one of its deliveries ends or resumes.
      if (queue.isProbing || queue.busy >= throttleFor(settings, queue.nextHop.domain).connections) continue
      const job = this.#take(queue, settings, now)
      this.#makeReady(queue)
      if (job) {
        blocked = 0
        void this.#deliverInTurn(queue, job)
      } else blocked++
    }
    // Throttled by time, perhaps: look again soon.
    if (slots.ready.length > 0 && blocked > 0) this.#timer ??= setTimeout(() => this.#later(), 50)
  }

  #later(): void {
    this.#timer = undefined
    this.pump()
  }

  /** New mail that may follow a delivery on its connection: it uses that delivery's slot, not another one. */
  #takeNext(queue: DestinationQueue, settings: DeliverySettings): DeliveryJob | undefined {
    const throttle = throttleFor(settings, queue.nextHop.domain)
    const slots = this.#slotsOf(queue)
    if (queue.busy > throttle.connections || slots.busy > settings.queue.deliveryThreads) return undefined
    const job = queue.take({ throttle, retries: false, now: performance.now() })
    if (job) slots.jobs--
    return job
  }

  #take(queue: DestinationQueue, settings: DeliverySettings, now: number): DeliveryJob | undefined {
    const throttle = throttleFor(settings, queue.nextHop.domain)
    const slots = this.#slotsOf(queue)
    if (queue.busy >= throttle.connections || queue.isProbing || slots.isFullFor(queue)) return undefined
    const job = queue.take({ throttle, retries: slots.busyRetries < settings.queue.retryThreads, now })
    if (job) slots.jobs--
    return job
  }

  #begin(
    queue: DestinationQueue,
    job: DeliveryJob,
    { pipelined, takeNext }: Pick<ConcurrencySlot, 'pipelined' | 'takeNext'>,
  ): DeliveryInProgress {
    const slots = this.#slotsOf(queue)
    const delivery = new DeliveryInProgress({ queue, job, slots, pipelined, takeNext })
    slots.begin(delivery)
    queue.busy++
    if (job.retry) queue.busyRetries++
    this.#underWay.add(delivery)
    this.#progressTimer ??= setTimeout(() => this.#checkProgress(), progressCheckMs)
    return delivery
  }

  #end(delivery: DeliveryInProgress): void {
    const { queue, job } = delivery
    this.#underWay.delete(delivery)
    this.#slotsOf(queue).end(delivery)
    queue.busy--
    if (job.retry) queue.busyRetries--
    if (queue.suspended === 0) queue.silent = false
  }

  /** Suspends deliveries that wait for the remote. */
  #checkProgress(): void {
    this.#progressTimer = undefined
    let changed = false
    for (const delivery of this.#underWay) {
      if (!delivery.checkProgress()) continue
      changed = true
      this.#makeReady(delivery.queue)
    }
    if (this.#underWay.size > 0) this.#progressTimer = setTimeout(() => this.#checkProgress(), progressCheckMs)
    if (changed) this.pump()
  }

  async #deliverInTurn(queue: DestinationQueue, first: DeliveryJob): Promise<void> {
    const slots = this.#slotsOf(queue)
    let job: DeliveryJob | undefined = first
    let pipelined: PipelinedJob | undefined
    for (let carried = 0; job; carried++) {
      const mayContinue = () => this.#isCurrent(queue) && (carried < messagesPerTurn || slots.ready.length <= 1)
      const takeNext: ConcurrencySlot['takeNext'] = (fits) => {
        const job = mayContinue() ? queue.peek() : undefined
        return job && fits(job.mail, job.recipients) ? this.#takeNext(queue, this.#options.settings()) : undefined
      }
      const delivery = this.#begin(queue, job, { pipelined, takeNext })
      await this.#options.deliver(job, queue, delivery)
      if (delivery.abandoned) return
      this.#end(delivery)
      this.done++
      if (delivery.reachable !== undefined && delivery.reachable !== queue.proven)
        this.#learn(queue, delivery.reachable)
      pipelined = delivery.nextPipelined
      // A job whose envelope was sent is delivered even when the scheduler stops.
      job =
        pipelined?.job ?? (mayContinue() ? this.#take(queue, this.#options.settings(), performance.now()) : undefined)
    }
    this.#makeReady(queue)
    this.#forget(queue)
    if (this.jobs < maxOfDestination / 2) this.#options.drained()
    if (this.busy === 0) for (const resolve of this.#idle.splice(0)) resolve()
    this.pump()
  }

  /** Remembers whether this destination takes mail. Routes always count as proven. */
  #learn(queue: DestinationQueue, answered: boolean): void {
    const { key: name, destination } = queue.nextHop
    if (transportOf(destination) !== 'remote') return
    queue.proven = answered
    if (answered) this.#proven.set(name, true)
    else this.#proven.delete(name)
  }

  #isCurrent(queue: DestinationQueue): boolean {
    return this.#running && this.#queues.get(queue.nextHop.key) === queue
  }

  #forget(queue: DestinationQueue): void {
    const { key: name } = queue.nextHop
    if (queue.length > 0 || queue.busy > 0 || queue.isReady || queue.throttledSince(performance.now() - minuteMs))
      return
    if (this.#queues.get(name) === queue) this.#queues.delete(name)
  }
}
