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
  /** Deliveries under way, and how many of them are retries. */
  busy = 0
  busyRetries = 0
  /** Of those under way: they gave up their places and wait for the other side. */
  suspended = 0
  /** The destination took mail a while ago; one that an administrator named is taken at his word. */
  proven = true
  /** A connection has been waiting for so long that other mail need not wait to be told so. */
  silent = false
  /** When throttled: when messages started, of the last minute at most, oldest first. */
  #starts: number[] = []
  #oldest = 0
  isReady = false

  constructor(nextHop: NextHop) {
    this.nextHop = nextHop
  }

  get length(): number {
    return this.#new.length + this.#retries.length
  }

  /** Its mail waits for the first word of a host that nobody knows: one connection is enough to hear it. */
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

  /** So many within any minute: at once, if that is how they come. */
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

  /** Takes the place of another lane with the same destination: what that one started counts. */
  inheritThrottle(before: DestinationQueue): void {
    this.#starts = before.#starts
    this.#oldest = before.#oldest
  }

  /** A lane that was throttled within the last minute is remembered although nothing waits in it. */
  throttledSince(time: number): boolean {
    return (this.#starts.at(-1) ?? 0) > time
  }

  /** The new mail that would be taken next. */
  peek(): DeliveryJob | undefined {
    return this.#new.peek()
  }

  /** Takes out every job of the lane, or those of one message. */
  drain(mail?: QueuedMessage): DeliveryJob[] {
    return [...this.#new.drain(mail), ...this.#retries.drain(mail)]
  }
}

/** First in, first out, without moving what waits. */
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
