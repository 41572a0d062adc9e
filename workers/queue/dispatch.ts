import { type Begun, type Job, Lane, minuteMs, type Turn } from './lanes.ts'
import { domainOf, type Mail } from './mail.ts'
import { type Plan, throttleFor } from './plan.ts'
import { type Way, wayFor } from './route/destination.ts'

/**
 * Who is served next. Lanes with work stand in a ring and are served in turn; each carries a few messages and goes to the
 * end, so a domain with a million messages takes no more than its turn. Limits are read from the plan at each step.
 */
export type DispatchOptions = {
  plan(): Plan
  /** Makes one delivery and settles it; never rejects. */
  deliver(job: Job, lane: Lane, turn: Turn): Promise<void>
  /** What has to be done with a message before it may be delivered; never rejects. `undefined`: nothing. */
  prepare?(mail: Mail): Promise<void> | undefined
  /** A lane has room again, or everything has gone: there may be more to load. */
  drained(): void
}

/** Messages a lane carries before the next lane has its turn. */
const turn = 20
/** Jobs in memory: in all, and of one lane. What is more waits in the index. */
export const mostJobs = 20_000
export const mostOfLane = 5_000

export class Dispatch {
  readonly #options: DispatchOptions
  readonly #lanes = new Map<string, Lane>()
  /** Lanes of before the last change of routes that were throttled within a minute of it: their limits go on. */
  readonly #former = new Map<string, Lane>()
  /** Recipients of messages that are being prepared. */
  readonly #preparing = new Map<Mail, Set<number>>()
  #ring: Lane[] = []
  #running = false
  #timer: NodeJS.Timeout | undefined
  #idle: (() => void)[] = []
  busy = 0
  busyRetries = 0
  jobs = 0
  /** Deliveries ended since the start. */
  done = 0

  constructor(options: DispatchOptions) {
    this.#options = options
  }

  /** Puts recipients of a mail into their lanes; those for whom there is no room are given back. */
  add(mail: Mail, recipients: readonly number[]): number[] {
    const preparing = this.#preparing.get(mail)
    const prepared = preparing ?? this.#options.prepare?.(mail)
    if (prepared) return this.#addLater(mail, recipients, prepared)
    return this.#addNow(mail, recipients)
  }

  #addNow(mail: Mail, recipients: readonly number[]): number[] {
    const plan = this.#options.plan()
    const noRoom: number[] = []
    for (const job of jobsOf(mail, recipients, plan)) {
      const lane = this.#laneFor(job, plan)
      if (this.jobs >= mostJobs || lane.length >= mostOfLane) noRoom.push(...job.recipients)
      else this.#put(lane, job)
    }
    this.pump()
    return noRoom
  }

  /** They count as jobs meanwhile; an order may withdraw them as it may from their lanes. */
  #addLater(mail: Mail, recipients: readonly number[], preparing: Set<number> | Promise<void>): number[] {
    if (this.jobs + recipients.length > mostJobs) return [...recipients]
    this.jobs += recipients.length
    if (!(preparing instanceof Promise)) {
      for (const r of recipients) preparing.add(r)
      return []
    }
    const waiting = new Set(recipients)
    this.#preparing.set(mail, waiting)
    void preparing.then(() => {
      this.#preparing.delete(mail)
      this.jobs -= waiting.size
      const plan = this.#options.plan()
      for (const job of jobsOf(mail, [...waiting], plan)) this.#put(this.#laneFor(job, plan), job)
      this.pump()
    })
    return []
  }

  /** How many more recipients of this domain may be loaded. */
  roomFor(domain: string): number {
    const { lane } = wayFor(this.#options.plan(), { address: `x@${domain}` })
    const waiting = this.#lanes.get(lane)?.length ?? 0
    return Math.max(0, Math.min(mostJobs - this.jobs, 500 - waiting))
  }

  #laneFor(job: Job, plan: Plan): Lane {
    const to = job.mail.envelope.recipients[job.recipients[0] as number]
    const way = wayFor(plan, to ?? { address: '' }, job.mail.rerouted)
    return this.#lanes.get(way.lane) ?? this.#open(way)
  }

  #open(way: Way): Lane {
    const lane = new Lane(way)
    const former = this.#former.get(way.lane)
    if (former) lane.follow(former)
    this.#lanes.set(way.lane, lane)
    return lane
  }

  #put(lane: Lane, job: Job): void {
    lane.add(job)
    this.jobs++
    this.#enter(lane)
  }

  #enter(lane: Lane): void {
    if (lane.inRing || lane.length === 0) return
    lane.inRing = true
    this.#ring.push(lane)
  }

  start(): void {
    this.#running = true
    this.pump()
  }

  /** Takes no more; resolves when the deliveries under way have ended. */
  async stop(): Promise<void> {
    this.#running = false
    clearTimeout(this.#timer)
    if (this.busy > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  /** After a change of the plan: what waits goes to the lane that is right now. */
  reroute(): void {
    const lanes = [...this.#lanes.values()]
    const aMinuteAgo = Date.now() - minuteMs
    for (const lane of lanes) if (lane.throttledSince(aMinuteAgo)) this.#former.set(lane.way.lane, lane)
    for (const [name, lane] of this.#former) if (!lane.throttledSince(aMinuteAgo)) this.#former.delete(name)
    this.#lanes.clear()
    this.#ring = []
    const plan = this.#options.plan()
    for (const lane of lanes) {
      for (const job of lane.drain()) {
        this.jobs--
        for (const again of jobsOf(job.mail, job.recipients, plan)) this.#put(this.#laneFor(again, plan), again)
      }
    }
    this.pump()
  }

  /** Takes a message's jobs out of their lanes: recipients that were not being delivered. */
  withdraw(mail: Mail): number[] {
    const jobs = [...this.#lanes.values()].flatMap((lane) => lane.drain(mail))
    this.jobs -= jobs.length
    const preparing = this.#preparing.get(mail)
    const waiting = [...(preparing ?? [])]
    preparing?.clear()
    this.jobs -= waiting.length
    return [...jobs.flatMap((job) => job.recipients), ...waiting]
  }

  pump(): void {
    if (!this.#running) return
    const plan = this.#options.plan()
    const now = Date.now()
    let blocked = 0
    while (this.busy < plan.queue.deliveryThreads && blocked < this.#ring.length) {
      const lane = this.#ring.shift() as Lane
      const job = this.#take(lane, plan, now)
      lane.inRing = false
      this.#enter(lane)
      if (job) {
        blocked = 0
        void this.#carry(lane, job)
      } else blocked++
    }
    // Throttled by time, perhaps: look again soon.
    if (this.#ring.length > 0 && blocked > 0) this.#timer ??= setTimeout(() => this.#later(), 50)
  }

  #later(): void {
    this.#timer = undefined
    this.pump()
  }

  /** New mail that may go out behind a delivery under way: it takes that delivery's place, not one more. */
  #takeNext(lane: Lane, plan: Plan): Job | undefined {
    const throttle = throttleFor(plan, lane.way.domain)
    if (lane.busy > throttle.connections || this.busy > plan.queue.deliveryThreads) return undefined
    const job = lane.take({ throttle, retries: false, now: Date.now() })
    if (job) this.jobs--
    return job
  }

  #take(lane: Lane, plan: Plan, now: number): Job | undefined {
    const throttle = throttleFor(plan, lane.way.domain)
    if (lane.busy >= throttle.connections) return undefined
    const job = lane.take({ throttle, retries: this.busyRetries < plan.queue.retryThreads, now })
    if (!job) return undefined
    this.jobs--
    this.#count(lane, job, 1)
    return job
  }

  #count(lane: Lane, { retry }: Job, by: 1 | -1): void {
    this.busy += by
    lane.busy += by
    if (!retry) return
    this.busyRetries += by
    lane.busyRetries += by
  }

  async #carry(lane: Lane, first: Job): Promise<void> {
    let job: Job | undefined = first
    let begun: Begun | undefined
    for (let carried = 0; job; carried++) {
      const goesOn = () => this.#goesOn(lane) && (carried < turn || this.#ring.length <= 1)
      const next: Turn['next'] = (fits) => {
        const job = goesOn() ? lane.peek() : undefined
        return job && fits(job.mail, job.recipients) ? this.#takeNext(lane, this.#options.plan()) : undefined
      }
      const place: Turn = { begun, next, follows: undefined }
      await this.#options.deliver(job, lane, place)
      this.#count(lane, job, -1)
      this.done++
      begun = place.follows
      // What has begun is delivered even when everything is to stop.
      if (begun) this.#count(lane, begun.job, 1)
      job =
        begun?.job ??
        (goesOn() && this.#withinLimits() ? this.#take(lane, this.#options.plan(), Date.now()) : undefined)
    }
    this.#forget(lane)
    if (this.jobs < mostOfLane / 2) this.#options.drained()
    if (this.busy === 0) for (const resolve of this.#idle.splice(0)) resolve()
    this.pump()
  }

  #goesOn(lane: Lane): boolean {
    return this.#running && this.#lanes.get(lane.way.lane) === lane
  }

  #withinLimits(): boolean {
    return this.busy < this.#options.plan().queue.deliveryThreads
  }

  #forget(lane: Lane): void {
    const { lane: name } = lane.way
    if (lane.length > 0 || lane.busy > 0 || lane.inRing || lane.throttledSince(Date.now() - minuteMs)) return
    if (this.#lanes.get(name) === lane) this.#lanes.delete(name)
  }
}

/** One job for each way, and apart for what was tried before. */
function jobsOf(mail: Mail, recipients: readonly number[], plan: Plan): Job[] {
  if (recipients.length === 1) {
    const [r] = recipients as [number]
    return [{ mail, recipients: [r], retry: (mail.open.get(r)?.tries ?? 0) > 0 }]
  }
  const jobs = new Map<string, Job>()
  for (const r of recipients) {
    const to = mail.envelope.recipients[r]
    if (!to) continue
    const { lane } = wayFor(plan, to, mail.rerouted)
    // A gateway takes all domains in one transaction; a domain's own limits hold only where it is the destination.
    const retry = (mail.open.get(r)?.tries ?? 0) > 0
    const key = `${retry ? 1 : 0} ${lane} ${lane === 'gateway' ? '' : domainOf(to.address)} ${to.forwardedBy ?? ''}`
    const job = jobs.get(key)
    if (job) job.recipients.push(r)
    else jobs.set(key, { mail, recipients: [r], retry })
  }
  return [...jobs.values()]
}
