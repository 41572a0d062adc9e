import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { BackOff } from '@postern/contract/back-off.ts'
import type { QueueCounts, QueuePage } from '@postern/contract/queue-mirror.ts'
import type { SpoolReader } from '@postern/spool/spool.ts'
import type { Index } from '../index/index-thread.ts'
import type { QueuedMessage } from '../message/message.ts'
import type { QueueClock } from '../message/queue-clock.ts'
import { summaryOf, unreadableSummary } from '../message/summary.ts'

/**
 * Tells the API what waits and how much was counted: soon after a change, at most once a second, and now and then when
 * nothing changes, so that an API with an empty or older database notices. Mail never waits for it.
 */
export type QueueMirrorOptions = {
  index: Index
  reader: Pick<SpoolReader, 'readEnvelope'>
  clock: QueueClock
  /** `everything`: the API does not have what the page follows. Rejects if it does not answer. */
  send(page: QueuePage): Promise<'stored' | 'everything'>
  /** Called once for a run of failures. */
  failed(error: unknown): void
  times?: Partial<typeof usualTimes>
}

/** Milliseconds. `soon`: changes that come together are told together. */
const usualTimes = {
  soon: 50,
  leastPause: 1_000,
  everyMs: 15_000,
  betweenPages: 2,
  afterFailure: 1_000,
  longestPause: 15_000,
}
const summariesAtOnce = 32
/** Tries to tell everything before it waits for its next time. */
const maxRuns = 3

export class QueueMirror {
  readonly #options: QueueMirrorOptions
  readonly #times: typeof usualTimes
  #timer: NodeJS.Timeout | undefined
  #dueAt = Number.POSITIVE_INFINITY
  #telling: Promise<void> | undefined
  #lastAt = Number.NEGATIVE_INFINITY
  #hasChanged = false
  readonly #backOff: BackOff
  #isFailing = false
  #stopped = false

  constructor(options: QueueMirrorOptions) {
    this.#options = options
    this.#times = { ...usualTimes, ...options.times }
    this.#backOff = new BackOff({ firstMs: this.#times.afterFailure, longestMs: this.#times.longestPause })
  }

  start(): void {
    this.#options.index.onChange = () => this.#changed()
    this.#tellIn(0)
  }

  #changed(): void {
    this.#hasChanged = true
    if (this.#telling || this.#isFailing) return
    this.#tellIn(Math.max(this.#times.soon, this.#lastAt + this.#times.leastPause - performance.now()))
  }

  /** An earlier time that is set already stays. */
  #tellIn(ms: number): void {
    const at = performance.now() + ms
    if (this.#stopped || at >= this.#dueAt) return
    clearTimeout(this.#timer)
    this.#dueAt = at
    this.#timer = setTimeout(() => void this.tell(), ms)
  }

  /** Resolves when the API has everything, or did not answer. Never rejects. */
  tell(): Promise<void> {
    clearTimeout(this.#timer)
    this.#dueAt = Number.POSITIVE_INFINITY
    this.#telling ??= this.#tellAndWait().finally(() => {
      this.#telling = undefined
      this.#lastAt = performance.now()
      if (this.#isFailing) this.#tellIn(this.#backOff.next())
      else this.#tellIn(this.#hasChanged ? this.#times.leastPause : this.#times.everyMs)
    })
    return this.#telling
  }

  async #tellAndWait(): Promise<void> {
    try {
      await this.#tellAll()
      this.#isFailing = false
      this.#backOff.reset()
    } catch (error) {
      if (!this.#isFailing && !this.#stopped) this.#options.failed(error)
      this.#isFailing = true
    }
  }

  async #tellAll(): Promise<void> {
    const { index } = this.#options
    for (let runs = 0; runs < maxRuns; ) {
      this.#hasChanged = false
      const found = await index.ask('untold', this.#wallAhead())
      if (found && (await this.#describe(found.unknown))) continue
      if (found && (await this.#options.send(pageOf(found))) === 'stored') {
        await index.ask('told', found.position)
        if (found.caughtUp) return
      } else {
        runs++
        await this.#tellEverything()
      }
    }
  }

  /**
   * In pages: the index answers others in between, and reads the next page while the API stores one. What changes
   * meanwhile is told afterwards.
   */
  async #tellEverything(): Promise<void> {
    const { index } = this.#options
    const run = randomInt(1, 2 ** 47)
    let position: number | undefined
    let next = this.#everythingAfter(0)
    for (let page = 0; !this.#stopped; ) {
      const found = await next
      position ??= found.position
      const all = { run, page: page++, last: found.last }
      const part = { incarnation: found.incarnation, from: 0, to: position, all, ...found.page }
      const sent = this.#options.send(part)
      if (!found.last) {
        next = this.#everythingAfter(found.after)
        // It is awaited only if this page was stored.
        next.catch(() => {})
      }
      if ((await sent) === 'everything') return
      if (found.last) {
        await index.ask('told', position)
        return
      }
      await sleep(this.#times.betweenPages)
    }
  }

  async #everythingAfter(after: number) {
    for (;;) {
      const found = await this.#options.index.ask('everything', { after, wallAhead: this.#wallAhead() })
      if (!(await this.#describe(found.unknown))) return found
    }
  }

  /** Messages from before the index kept what is shown of them. */
  async #describe(unknown: readonly { n: number; location: string }[]): Promise<boolean> {
    const { index, reader } = this.#options
    for (let from = 0; from < unknown.length; from += summariesAtOnce) {
      const some = unknown.slice(from, from + summariesAtOnce).map(async ({ n, location }) => {
        const summary = await reader
          .readEnvelope(location as QueuedMessage['location'])
          .then(summaryOf, () => unreadableSummary(Date.now()))
        return { n, summary: JSON.stringify(summary) }
      })
      await index.ask('summaries', await Promise.all(some))
    }
    return unknown.length > 0
  }

  #wallAhead(): number {
    return this.#options.clock.wallAt(0)
  }

  /** Tells the last state, if the API answers. */
  async stop(): Promise<void> {
    this.#options.index.onChange = undefined
    await this.#telling
    if (!this.#isFailing) await this.tell()
    this.#stopped = true
    clearTimeout(this.#timer)
  }
}

type Found = {
  page: Pick<QueuePage, 'waiting' | 'gone'>
  incarnation: number
  from: number
  position: number
  caughtUp: boolean
  counts: QueueCounts
}

function pageOf({ page, incarnation, from, position, caughtUp, counts }: Found): QueuePage {
  return { incarnation, from, to: position, ...page, ...(caughtUp ? { counts } : {}) }
}
