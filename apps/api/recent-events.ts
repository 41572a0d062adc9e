import type { LoggedEvent } from '@postern/log/search.ts'
import type { Dependencies } from './dependencies.ts'

/** Newest events that a live stream can resume from. */
const kept = 5_000

/**
 * The events that this process stored last, in the order in which they came, and requests that wait for more. Other
 * processes do not hear of them: they search the log.
 */
class RecentEvents {
  #events: LoggedEvent[] = []
  #count = 0
  readonly #waiting = new Set<() => void>()

  /** Position after the newest event. */
  get end(): number {
    return this.#count
  }

  /** Without events it only wakes those who wait. */
  add(events: readonly LoggedEvent[]): void {
    this.#events.push(...events)
    this.#count += events.length
    if (this.#events.length > 2 * kept) this.#events = this.#events.slice(-kept)
    for (const wake of [...this.#waiting]) wake()
  }

  /** Returns events from a position on; `undefined` if the first of them is no longer kept. */
  from(position: number, limit: number): LoggedEvent[] | undefined {
    const at = position - (this.#count - this.#events.length)
    return at < 0 ? undefined : this.#events.slice(at, at + limit)
  }

  /** Returns the position after an event; `undefined` if it is no longer kept. */
  after(isIt: (event: LoggedEvent) => boolean): number | undefined {
    const at = this.#events.findLastIndex(isIt)
    return at < 0 ? undefined : this.#count - this.#events.length + at + 1
  }

  /** Resolves when new events are stored, after `ms`, or when `signal` fires. */
  more(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', wake)
        this.#waiting.delete(wake)
        resolve()
      }
      const timer = setTimeout(wake, ms)
      signal.addEventListener('abort', wake)
      this.#waiting.add(wake)
    })
  }
}

const recent = new WeakMap<Dependencies, RecentEvents>()

export function recentEvents(parts: Dependencies): RecentEvents {
  const found = recent.get(parts) ?? new RecentEvents()
  recent.set(parts, found)
  return found
}
