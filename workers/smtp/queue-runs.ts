import { LRUCache } from 'lru-cache'

/** How a worker asks for the queue of a domain: through the API, which makes an order of it. */
export type AskForRun = (domain: string, by: string) => Promise<void>

/** Asked again within this time, a domain is being tried already. */
const restMs = 60_000

/** Orders are revisions: a client that sends ETRN again and again must not make one each time. */
export class QueueRuns {
  readonly #askFor: AskForRun
  readonly #recent = new LRUCache<string, Promise<void>>({ max: 1000, ttl: restMs })

  constructor(askFor: AskForRun) {
    this.#askFor = askFor
  }

  /** Resolves when the order is made, by this or by another who asked a moment ago; rejects when the API is away. */
  ask(domain: string, by: string): Promise<void> {
    const known = this.#recent.get(domain)
    if (known) return known
    const asked = this.#askFor(domain, by)
    this.#recent.set(domain, asked)
    asked.catch(() => this.#recent.delete(domain))
    return asked
  }
}
