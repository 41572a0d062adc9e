/**
 * The Queue Manager's own clock. It starts with the machine's and then only counts on, so that setting the machine's clock
 * neither expires what waits, nor makes it due, nor leaves it waiting for a year. Schedules and ages are in its time; what is
 * shown is converted with `wallAt`.
 *
 * It has two readings, in milliseconds: `now` goes on while no Queue Manager runs, so that what became due meanwhile is due
 * at the start; `waited` stands still then, so that nothing is returned as too old for time in which nobody could try.
 */

/** The two readings at one moment, and what the machine's clock said. It is kept in the index. */
export type ClockReading = { wall: number; now: number; waited: number }

/**
 * `setBackBy`: how far the machine's clock was set back while nothing ran; 0 when it was not. `lastWall`: when the process
 * before ended, or now where that seems to be to come.
 */
export type ClockStart = ClockReading & { lastWall: number; setBackBy: number }

/** A smaller step is what time servers make, and no operator needs to hear of it. */
export const leastJumpMs = 60_000
const lookEveryMs = 1000
/** The two clocks drift apart and are read one after the other; less than this changes no time that is shown. */
const driftMs = 1000
const hour = 3_600_000
/** The most that `queue.maxQueueHours` may be. Who seems to be older when it comes was received by a wrong clock. */
const longestLifetimeMs = 336 * hour
/** When a message was received and when a jump was seen are not told to the millisecond. */
const toleranceMs = 2000
const maxJumps = 100

/** Since `from` (in queue time) the machine's clock has been ahead of the queue's by `ahead`. */
type ClockPeriod = { from: number; ahead: number }

/** Where the clock goes on, from what the process before left. Without that it is the machine's. */
export function resumeClock(last: ClockReading | undefined, wall: number): ClockStart {
  if (!last) return { wall, now: wall, waited: wall, lastWall: wall, setBackBy: 0 }
  const passed = wall - last.wall
  return {
    wall,
    now: last.now + Math.max(0, passed),
    waited: last.waited,
    lastWall: Math.min(last.wall, wall),
    setBackBy: passed <= -leastJumpMs ? -passed : 0,
  }
}

export class QueueClock {
  readonly #start: ClockStart
  readonly #startedAt = performance.now()
  readonly #stretches: ClockPeriod[]
  readonly #jumped: (ms: number) => void
  #timer: NodeJS.Timeout | undefined

  /** `jumped` hears by how many milliseconds the machine's clock was set, forward or back, each time it was. */
  constructor(start: ClockStart, jumped: (ms: number) => void) {
    // Opening the index takes its time, which has passed on this clock too.
    const since = Math.max(0, Date.now() - start.wall)
    const passed = since < leastJumpMs ? since : 0
    this.#start = { ...start, wall: start.wall + passed, now: start.now + passed }
    this.#stretches = [{ from: this.#start.now, ahead: start.wall - start.now }]
    this.#jumped = jumped
  }

  start(): void {
    if (this.#start.setBackBy > 0) this.#jumped(-this.#start.setBackBy)
    this.#timer = setInterval(() => this.look(), lookEveryMs)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  get #ran(): number {
    return Math.round(performance.now() - this.#startedAt)
  }

  now(): number {
    return this.#start.now + this.#ran
  }

  waited(): number {
    return this.#start.waited + this.#ran
  }

  reading(): ClockReading {
    const now = this.now()
    return { wall: this.wallAt(now), now, waited: this.waited() }
  }

  /** What the machine's clock says when this one says `at`. */
  wallAt(at: number): number {
    this.look()
    return at + (this.#stretches.at(-1) as ClockPeriod).ahead
  }

  /** Whether the machine's clock was set since the last look. */
  look(): void {
    const now = this.now()
    const ahead = Date.now() - now
    const last = this.#stretches.at(-1) as ClockPeriod
    const by = ahead - last.ahead
    if (Math.abs(by) < leastJumpMs) {
      if (Math.abs(by) >= driftMs) last.ahead = ahead
      return
    }
    this.#stretches.push({ from: now, ahead })
    if (this.#stretches.length > maxJumps) this.#stretches.shift()
    this.#jumped(by)
  }

  /**
   * What `waited` was when the machine's clock said `receivedAt`: the clock may have been set since, and another process
   * may have read it. Never in the future. Where no stretch of the clock fits, it is now.
   */
  waitedAt(receivedAt: number): number {
    this.look()
    const now = this.now()
    let until = now
    for (const { from, ahead } of this.#stretches.toReversed()) {
      const at = receivedAt - ahead
      if (at >= from - toleranceMs && at <= until + toleranceMs) return this.waited() - Math.max(0, now - at)
      until = from
    }
    const age = this.#start.lastWall - receivedAt
    return age > longestLifetimeMs ? this.waited() : this.#start.waited - Math.max(0, age)
  }
}
