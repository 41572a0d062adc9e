import { LRUCache } from 'lru-cache'

/** Asks the API for a run of one domain's queue; the API makes an order of it. */
export type AskForRun = (domain: string, by: string) => Promise<void>

/** The least time between two orders for one domain. */
const pauseMs = 10_000

type Run = { order: Promise<void>; isFollowed: boolean; at: number }

/**
 * Orders are revisions: a client that sends ETRN again and again must not make one each time. A request soon after
 * another gets the run that follows the pause: by then there may be mail that was not there for the first run.
 */
export class QueueRuns {
  readonly #askFor: AskForRun
  readonly #recent = new LRUCache<string, Run>({ max: 1000 })

  constructor(askFor: AskForRun) {
    this.#askFor = askFor
  }

  /** Resolves when an order is made or planned; rejects when the API cannot be reached. */
  ask(domain: string, by: string): Promise<void> {
    const run = this.#recent.get(domain)
    const pause = run ? run.at + pauseMs - performance.now() : 0
    if (!run || pause <= 0) return this.#order(domain, by)
    if (!run.isFollowed) {
      run.isFollowed = true
      const follow = () => this.#order(domain, by).catch(() => {})
      setTimeout(follow, pause).unref()
    }
    return run.order
  }

  #order(domain: string, by: string): Promise<void> {
    const order = this.#askFor(domain, by)
    this.#recent.set(domain, { order, isFollowed: false, at: performance.now() })
    order.catch(() => this.#recent.delete(domain))
    return order
  }
}
