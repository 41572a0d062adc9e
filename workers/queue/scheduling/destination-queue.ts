import type { DeliveryJob, QueuedMessage } from '../message/message.ts'
import type { Throttle } from '../route/delivery-settings.ts'
import type { NextHop } from '../route/destination.ts'

/** What `perMinute` of a throttle counts in. */
export const minuteMs = 60_000

/** Mail for one destination, in order, new before old. */
export class DestinationQueue {
  readonly nextHop: NextHop
  readonly #new = new JobFifo()
  readonly #retries = new JobFifo()
  /** Deliveries in progress, and how many of them are retries. */
  busy = 0
  busyRetries = 0
  /** Those in progress that gave up their slots and wait for the remote. */
  suspended = 0
  /** The destination took mail within the last hour. One that an administrator named counts as proven. */
  proven = true
  /** A connection has waited for so long that other mail does not wait for its result. */
  silent = false
  /** With a throttle: start times of the last minute, oldest first. */
  #starts: number[] = []
  #oldest = 0
  isReady = false

  constructor(nextHop: NextHop) {
    this.nextHop = nextHop
  }

  get length(): number {
    return this.#new.length + this.#retries.length
  }

  /** Its mail waits for the first reply of an unproven host: one connection is enough to find out. */
  get isProbing(): boolean {
    return !this.proven && this.suspended > 0 && !this.silent
  }

  add(job: DeliveryJob): void {
    ;(job.retry ? this.#retries : this.#new).push(job)
  }

  /**
   * The next job that may start. New mail goes first; retries never take the last connection of several, so that new
   * mail for a destination does not wait behind its old mail either.
   */
  take({ throttle, retries, now }: { throttle: Throttle; retries: boolean; now: number }): DeliveryJob | undefined {
    if (this.#new.length === 0 && !this.#mayRetry(retries, throttle)) return undefined
    if (throttle.perMinute > 0 && !this.#token(throttle.perMinute, now)) return undefined
    return this.#new.shift() ?? this.#retries.shift()
  }

  #mayRetry(allowed: boolean, { connections }: Throttle): boolean {
    return allowed && this.#retries.length > 0 && this.busyRetries < Math.max(1, connections - 1)
  }

  /** At most `perMinute` starts within any minute; they may come in one burst. */
  #token(perMinute: number, now: number): boolean {
    const aMinuteAgo = now - minuteMs
    while (this.#oldest < this.#starts.length && (this.#starts[this.#oldest] as number) <= aMinuteAgo) this.#oldest++
    if (this.#starts.length - this.#oldest >= perMinute) return false
    if (this.#oldest > 1024 && this.#oldest * 2 > this.#starts.length) {
      this.#starts = this.#starts.slice(this.#oldest)
      this.#oldest = 0
    }
    this.#starts.push(now)
    return true
  }

  /** Replaces another queue of the same destination: the messages that one started count for the throttle. */
  inheritThrottle(before: DestinationQueue): void {
    this.#starts = before.#starts
    this.#oldest = before.#oldest
  }

  /** A queue that was throttled within the last minute is kept although it is empty. */
  throttledSince(time: number): boolean {
    return (this.#starts.at(-1) ?? Number.NEGATIVE_INFINITY) > time
  }

  /** The new mail that would be taken next. */
  peek(): DeliveryJob | undefined {
    return this.#new.peek()
  }

  /** Removes and returns all jobs, or those of one message. */
  drain(mail?: QueuedMessage): DeliveryJob[] {
    return [...this.#new.drain(mail), ...this.#retries.drain(mail)]
  }
}

/** First in, first out, without moving the jobs that wait. */
class JobFifo {
  #jobs: (DeliveryJob | undefined)[] = []
  #head = 0

  get length(): number {
    return this.#jobs.length - this.#head
  }

  push(job: DeliveryJob): void {
    this.#jobs.push(job)
  }

  peek(): DeliveryJob | undefined {
    return this.#jobs[this.#head]
  }

  shift(): DeliveryJob | undefined {
    if (this.length === 0) return undefined
    const job = this.#jobs[this.#head]
    this.#jobs[this.#head++] = undefined
    if (this.#head > 1024 && this.#head * 2 > this.#jobs.length) {
      this.#jobs = this.#jobs.slice(this.#head)
      this.#head = 0
    }
    return job
  }

  drain(mail?: QueuedMessage): DeliveryJob[] {
    const jobs = this.#jobs.slice(this.#head) as DeliveryJob[]
    this.#head = 0
    this.#jobs = mail ? jobs.filter((job) => job.mail !== mail) : []
    return mail ? jobs.filter((job) => job.mail === mail) : jobs
  }
}
