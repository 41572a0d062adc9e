import { LRUCache } from 'lru-cache'
import type { QueuedMessage } from '../message/message.ts'
import { type DeliverySettings, throttleFor } from '../route/delivery-settings.ts'
import { type NextHop, nextHopFor } from '../route/destination.ts'
import { ConcurrencySlots, type Transport, transportOf } from './concurrency-slots.ts'
import { DeliveryInProgress, lookMs } from './delivery-in-progress.ts'
import { deliveryJobsFor } from './delivery-jobs.ts'
import { type Begun, type ConcurrencySlot, type DeliveryJob, DestinationQueue, minuteMs } from './destination-queue.ts'

/**
 * Who is served next. Lanes with work stand in the ring of their transport and are served in turn; each carries a few
 * messages and goes to the end, so a domain with a million messages takes no more than its turn. Limits are read from the
 * plan at each step.
 */
export type SchedulerOptions = {
  plan(): DeliverySettings
  /** Makes one delivery and settles it, unless it is abandoned meanwhile; never rejects. */
  deliver(job: DeliveryJob, lane: DestinationQueue, turn: ConcurrencySlot): Promise<void>
  /** Puts a job back that was being delivered: it is tried again, and nothing is counted. Never rejects. */
  putBack(job: DeliveryJob, lane: DestinationQueue): Promise<void>
  /** What has to be done with a message before it may be delivered; never rejects. `undefined`: nothing. */
  prepare?(mail: QueuedMessage): Promise<void> | undefined
  /** A lane has room again, or everything has gone: there may be more to load. */
  drained(): void
}

/** Messages a lane carries before the next lane has its turn. */
const turn = 20
/** Jobs in memory: of one transport, of one lane, and of one whose host has not said a word. What is more waits in the index. */
export const maxJobs = 20_000
const maxOfDestination = 5_000
const maxStanding = 50
/** Destinations that took mail, and for how long that proves something. */
const maxProved = 50_000
const provedForMs = 3_600_000
/** Milliseconds for recording the outcomes of what ended by itself when everything else is broken off. */
const concludingMs = 5_000

export class Scheduler {
  readonly #options: SchedulerOptions
  readonly #lanes = new Map<string, DestinationQueue>()
  /** Lanes of before the last change of routes that were throttled within a minute of it: their limits go on. */
  readonly #former = new Map<string, DestinationQueue>()
  /** Recipients of messages that are being prepared. */
  readonly #preparing = new Map<QueuedMessage, Set<number>>()
  readonly #proved = new LRUCache<string, true>({ max: maxProved, ttl: provedForMs })
  readonly #places: { readonly [transport in Transport]: ConcurrencySlots }
  readonly #underWay = new Set<DeliveryInProgress>()
  #running = false
  #timer: NodeJS.Timeout | undefined
  #looks: NodeJS.Timeout | undefined
  #idle: (() => void)[] = []
  #beingPrepared = 0
  /** Deliveries ended since the start. */
  done = 0

  constructor(options: SchedulerOptions) {
    this.#options = options
    const most = () => options.plan().queue.deliveryThreads
    this.#places = {
      local: new ConcurrencySlots('local', most),
      route: new ConcurrencySlots('route', most),
      remote: new ConcurrencySlots('remote', most),
    }
  }

  get #transports(): ConcurrencySlots[] {
    return Object.values(this.#places)
  }

  /** Deliveries under way; those that wait for the other side among them. */
  get busy(): number {
    return this.#underWay.size
  }

  get waiting(): number {
    return this.#transports.reduce((sum, { waiting }) => sum + waiting, 0)
  }

  /** Jobs in memory that are not under way. */
  get jobs(): number {
    const { local, route, remote } = this.#places
    return local.jobs + route.jobs + remote.jobs + this.#beingPrepared
  }

  /** The same without those whose host has not said a word. */
  get flowing(): number {
    let standing = 0
    for (const lane of this.#lanes.values()) if (lane.stands) standing += lane.length
    return this.jobs - standing
  }

  /** Puts recipients of a mail into their lanes; those for whom there is no room are given back. */
  add(mail: QueuedMessage, recipients: readonly number[]): number[] {
    const preparing = this.#preparing.get(mail)
    const prepared = preparing ?? this.#options.prepare?.(mail)
    if (prepared) return this.#addLater(mail, recipients, prepared)
    return this.#addNow(mail, recipients)
  }

  #addNow(mail: QueuedMessage, recipients: readonly number[]): number[] {
    const plan = this.#options.plan()
    const noRoom: number[] = []
    for (const job of deliveryJobsFor(mail, recipients, plan)) {
      const lane = this.#laneFor(job, plan)
      if (this.#roomIn(lane, maxOfDestination) <= 0) noRoom.push(...job.recipients)
      else this.#put(lane, job)
    }
    this.pump()
    return noRoom
  }

  /** They count as jobs meanwhile; an order may withdraw them as it may from their lanes. */
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
      const plan = this.#options.plan()
      for (const job of deliveryJobsFor(mail, [...waiting], plan)) this.#put(this.#laneFor(job, plan), job)
      this.pump()
    })
    return []
  }

  /** How many more recipients of this domain may be loaded, and by which transport they go. */
  roomFor(domain: string): { transport: Transport; most: number } {
    const way = nextHopFor(this.#options.plan(), { address: `x@${domain}` })
    const transport = transportOf(way.destination)
    const lane = this.#lanes.get(way.lane)
    return { transport, most: lane ? this.#roomIn(lane, 500) : Math.min(this.roomOf(transport), 500) }
  }

  roomOf(transport: Transport): number {
    return Math.max(0, maxJobs - this.#places[transport].jobs)
  }

  #roomIn(lane: DestinationQueue, most: number): number {
    const ofLane = (lane.stands ? Math.min(most, maxStanding) : most) - lane.length
    return Math.max(0, Math.min(this.roomOf(transportOf(lane.way.destination)), ofLane))
  }

  #laneFor(job: DeliveryJob, plan: DeliverySettings): DestinationQueue {
    const to = job.mail.envelope.recipients[job.recipients[0] as number]
    const way = nextHopFor(plan, to ?? { address: '' }, job.mail.rerouted)
    return this.#lanes.get(way.lane) ?? this.#open(way)
  }

  #open(way: NextHop): DestinationQueue {
    const lane = new DestinationQueue(way)
    lane.proved = transportOf(way.destination) !== 'remote' || this.#proved.has(way.lane)
    const former = this.#former.get(way.lane)
    if (former) lane.follow(former)
    this.#lanes.set(way.lane, lane)
    return lane
  }

  #placesOf(lane: DestinationQueue): ConcurrencySlots {
    return this.#places[transportOf(lane.way.destination)]
  }

  #put(lane: DestinationQueue, job: DeliveryJob): void {
    lane.add(job)
    this.#placesOf(lane).jobs++
    this.#enter(lane)
  }

  #enter(lane: DestinationQueue): void {
    if (lane.inRing || lane.length === 0) return
    lane.inRing = true
    this.#placesOf(lane).ring.push(lane)
  }

  start(): void {
    this.#running = true
    this.refresh()
  }

  /** Takes no more; resolves when the deliveries under way have ended, or `ms` later: what is left is broken off and put back. */
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
    const { job, lane, follows } = delivery
    delivery.abandon()
    this.#end(delivery)
    return [job, ...(follows ? [follows.job] : [])].map((each) => this.#options.putBack(each, lane))
  }

  /** After a change of the plan: what waits goes to the lane that is right now. */
  reroute(): void {
    const lanes = [...this.#lanes.values()]
    const aMinuteAgo = Date.now() - minuteMs
    for (const lane of lanes) if (lane.throttledSince(aMinuteAgo)) this.#former.set(lane.way.lane, lane)
    for (const [name, lane] of this.#former) if (!lane.throttledSince(aMinuteAgo)) this.#former.delete(name)
    this.#lanes.clear()
    for (const places of this.#transports) Object.assign(places, { ring: [], jobs: 0 })
    const plan = this.#options.plan()
    for (const lane of lanes) {
      for (const job of lane.drain()) {
        for (const again of deliveryJobsFor(job.mail, job.recipients, plan))
          this.#put(this.#laneFor(again, plan), again)
      }
    }
    this.pump()
  }

  /** Limits may have changed: every lane with work has its turn. */
  refresh(): void {
    for (const lane of this.#lanes.values()) this.#enter(lane)
    this.pump()
  }

  /** Takes a message's jobs out of their lanes: recipients that were not being delivered. */
  withdraw(mail: QueuedMessage): number[] {
    const jobs = [...this.#lanes.values()].flatMap((lane) => {
      const drained = lane.drain(mail)
      this.#placesOf(lane).jobs -= drained.length
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
    const plan = this.#options.plan()
    const now = Date.now()
    for (const places of this.#transports) if (places.ring.length > 0) this.#serve(places, plan, now)
  }

  #serve(places: ConcurrencySlots, plan: DeliverySettings, now: number): void {
    let blocked = 0
    while (!places.isFull && blocked < places.ring.length) {
      const lane = places.ring.shift() as DestinationQueue
      lane.inRing = false
      // It comes back when one of its deliveries ends or goes on.
      if (lane.stands || lane.busy >= throttleFor(plan, lane.way.domain).connections) continue
      const job = this.#take(lane, plan, now)
      this.#enter(lane)
      if (job) {
        blocked = 0
        void this.#carry(lane, job)
      } else blocked++
    }
    // Throttled by time, perhaps: look again soon.
    if (places.ring.length > 0 && blocked > 0) this.#timer ??= setTimeout(() => this.#later(), 50)
  }

  #later(): void {
    this.#timer = undefined
    this.pump()
  }

  /** New mail that may go out behind a delivery under way: it takes that delivery's place, not one more. */
  #takeNext(lane: DestinationQueue, plan: DeliverySettings): DeliveryJob | undefined {
    const throttle = throttleFor(plan, lane.way.domain)
    const places = this.#placesOf(lane)
    if (lane.busy > throttle.connections || places.busy > plan.queue.deliveryThreads) return undefined
    const job = lane.take({ throttle, retries: false, now: Date.now() })
    if (job) places.jobs--
    return job
  }

  #take(lane: DestinationQueue, plan: DeliverySettings, now: number): DeliveryJob | undefined {
    const throttle = throttleFor(plan, lane.way.domain)
    const places = this.#placesOf(lane)
    if (lane.busy >= throttle.connections || lane.stands || places.isFullFor(lane)) return undefined
    const job = lane.take({ throttle, retries: places.busyRetries < plan.queue.retryThreads, now })
    if (job) places.jobs--
    return job
  }

  #begin(
    lane: DestinationQueue,
    job: DeliveryJob,
    { begun, next }: Pick<ConcurrencySlot, 'begun' | 'next'>,
  ): DeliveryInProgress {
    const places = this.#placesOf(lane)
    const delivery = new DeliveryInProgress({ lane, job, places, begun, next })
    places.begin(delivery)
    lane.busy++
    if (job.retry) lane.busyRetries++
    this.#underWay.add(delivery)
    this.#looks ??= setTimeout(() => this.#look(), lookMs)
    return delivery
  }

  #end(delivery: DeliveryInProgress): void {
    const { lane, job } = delivery
    this.#underWay.delete(delivery)
    this.#placesOf(lane).end(delivery)
    lane.busy--
    if (job.retry) lane.busyRetries--
    if (lane.waiting === 0) lane.silent = false
  }

  /** Those that wait for the other side give their places up. */
  #look(): void {
    this.#looks = undefined
    let changed = false
    for (const delivery of this.#underWay) {
      if (!delivery.look()) continue
      changed = true
      this.#enter(delivery.lane)
    }
    if (this.#underWay.size > 0) this.#looks = setTimeout(() => this.#look(), lookMs)
    if (changed) this.pump()
  }

  async #carry(lane: DestinationQueue, first: DeliveryJob): Promise<void> {
    const places = this.#placesOf(lane)
    let job: DeliveryJob | undefined = first
    let begun: Begun | undefined
    for (let carried = 0; job; carried++) {
      const goesOn = () => this.#goesOn(lane) && (carried < turn || places.ring.length <= 1)
      const next: ConcurrencySlot['next'] = (fits) => {
        const job = goesOn() ? lane.peek() : undefined
        return job && fits(job.mail, job.recipients) ? this.#takeNext(lane, this.#options.plan()) : undefined
      }
      const delivery = this.#begin(lane, job, { begun, next })
      await this.#options.deliver(job, lane, delivery)
      if (delivery.abandoned) return
      this.#end(delivery)
      this.done++
      if (delivery.answered !== undefined && delivery.answered !== lane.proved) this.#learn(lane, delivery.answered)
      begun = delivery.follows
      // What has begun is delivered even when everything is to stop.
      job = begun?.job ?? (goesOn() ? this.#take(lane, this.#options.plan(), Date.now()) : undefined)
    }
    this.#enter(lane)
    this.#forget(lane)
    if (this.jobs < maxOfDestination / 2) this.#options.drained()
    if (this.busy === 0) for (const resolve of this.#idle.splice(0)) resolve()
    this.pump()
  }

  /** Whether mail to this destination may be expected to flow. Routes are the administrator's word. */
  #learn(lane: DestinationQueue, answered: boolean): void {
    const { lane: name, destination } = lane.way
    if (transportOf(destination) !== 'remote') return
    lane.proved = answered
    if (answered) this.#proved.set(name, true)
    else this.#proved.delete(name)
  }

  #goesOn(lane: DestinationQueue): boolean {
    return this.#running && this.#lanes.get(lane.way.lane) === lane
  }

  #forget(lane: DestinationQueue): void {
    const { lane: name } = lane.way
    if (lane.length > 0 || lane.busy > 0 || lane.inRing || lane.throttledSince(Date.now() - minuteMs)) return
    if (this.#lanes.get(name) === lane) this.#lanes.delete(name)
  }
}
