import { LRUCache } from 'lru-cache'

/** How a worker asks for the queue of a domain: through the API, which makes an order of it. */
export type AskForRun = (domain: string, by: string) => Promise<void>

/** So far apart are the orders for one domain. */
const restMs = 10_000

type Run = { order: Promise<void>; isFollowed: boolean; at: number }

/**
 * Orders are revisions: a client that sends ETRN again and again must not make one each time. Who asks soon after another
 * gets the run that follows when the rest is over: by then mail may wait that was not there for the one before.
 */
export class QueueRuns {
  readonly #askFor: AskForRun
  readonly #recent = new LRUCache<string, Run>({ max: 1000 })

  constructor(askFor: AskForRun) {
    this.#askFor = askFor
  }

  /** Resolves when an order is made or stands for a while later; rejects when the API is away. */
  ask(domain: string, by: string): Promise<void> {
    const run = this.#recent.get(domain)
    const rest = run ? run.at + restMs - Date.now() : 0
    if (!run || rest <= 0) return this.#order(domain, by)
    if (!run.isFollowed) {
      run.isFollowed = true
      const follow = () => this.#order(domain, by).catch(() => {})
      setTimeout(follow, rest).unref()
    }
    return run.order
  }

  #order(domain: string, by: string): Promise<void> {
    const order = this.#askFor(domain, by)
    this.#recent.set(domain, { order, isFollowed: false, at: Date.now() })
    order.catch(() => this.#recent.delete(domain))
    return order
  }
}
