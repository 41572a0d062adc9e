import type { EventRange } from '@postern/log/file-names.ts'
import type { LoggedEvent } from '@postern/log/search.ts'
import type { Dependencies } from './dependencies.ts'

/** Newest events that a live stream can resume from. */
const kept = 5_000

/** A stored batch. `read` is called at most once, and only if somebody wants its events: usually nobody watches. */
export type RecentBatch = EventRange & { read: () => Promise<LoggedEvent[]> }

type Batch = EventRange & {
  /** Position of its first event. */
  position: number
  events: () => Promise<LoggedEvent[]>
}

/**
 * The events that this process stored last, in the order in which they came, and requests that wait for more. Other
 * processes do not hear of them: they search the log.
 */
class RecentEvents {
  #batches: Batch[] = []
  #count = 0
  readonly #waiting = new Set<() => void>()

  /** Position after the newest event. */
  get end(): number {
    return this.#count
  }

  /** Position of the oldest event that is kept. */
  get beginning(): number {
    return this.#batches[0]?.position ?? this.#count
  }

  add({ read, ...range }: RecentBatch): void {
    let events: Promise<LoggedEvent[]> | undefined
    this.#batches.push({ ...range, position: this.#count, events: () => (events ??= read()) })
    this.#count += range.last - range.first + 1
    const oldest = this.#count - kept
    const from = this.#batches.findIndex(({ position, first, last }) => position + last - first >= oldest)
    if (from > 0) this.#batches.splice(0, from)
    this.wake()
  }

  /** Wakes those who wait for more, because something else has changed. */
  wake(): void {
    for (const wake of [...this.#waiting]) wake()
  }

  /** Returns some of the events from a position on; `undefined` if the first of them is no longer kept. */
  async from(position: number, limit: number): Promise<LoggedEvent[] | undefined> {
    if (position < this.beginning) return undefined
    const batch = this.#batches.findLast((one) => one.position <= position)
    const at = position - (batch?.position ?? 0)
    return (await batch?.events())?.slice(at, at + limit) ?? []
  }

  /** Returns the position after an event; `undefined` if it is no longer kept. */
  after({ worker, log, n }: Pick<LoggedEvent, 'worker' | 'log' | 'n'>): number | undefined {
    const batch = this.#batches.findLast(
      (one) => one.worker === worker && one.log === log && one.first <= n && n <= one.last,
    )
    return batch && batch.position + n - batch.first + 1
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
