import type { Cursor, Segment, SpoolReader, SpoolWriter } from '@postern/spool/spool.ts'
import type { Hands } from './hands.ts'
import type { Index } from './index/index-thread.ts'
import type { Journal } from './journal.ts'
import type { Mail } from './mail.ts'

/** Gives segments back in which nothing waits, and copies on the few messages that keep a segment. */
export type ReclaimOptions = { index: Index; journal: Journal; reader: SpoolReader; writer: SpoolWriter; hands: Hands }

const everyMs = 10_000
const copiesAtOnce = 500

export class Reclaim {
  readonly #options: ReclaimOptions
  #timer: NodeJS.Timeout | undefined
  #working: Promise<void> | undefined
  #stopped = false
  /** Where messages lie that were copied on lately, by number: a load under way may still name the old place. */
  readonly moved = new Map<number, Pick<Mail, 'location' | 'segment'>>()
  freed = 0

  constructor(options: ReclaimOptions) {
    this.#options = options
  }

  start(): void {
    this.#timer = setTimeout(() => void this.now().finally(() => this.#stopped || this.start()), everyMs)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    await this.#working
  }

  /** One round, at once. Never rejects: what fails is tried in the next. */
  now(): Promise<void> {
    this.#working ??= this.#round()
      .catch(() => {})
      .finally(() => {
        this.#working = undefined
      })
    return this.#working
  }

  async #round(): Promise<void> {
    const { index, journal, reader } = this.#options
    // The cursors first: what is taken over after them lies behind them, and is not touched.
    const cursors = new Map(journal.cursors) as Map<string, Cursor>
    const waiting = new Map((await index.ask('waiting')) as [Segment, { messages: number; octets: number }][])
    const { sparse, freed } = await reader.reclaim({ cursors, waiting })
    this.freed += freed
    if (this.moved.size > 20_000) this.moved.clear()
    let left = copiesAtOnce
    for (const segment of sparse) {
      if (left <= 0 || this.#stopped) return
      left -= await this.#copyOn(segment, left)
    }
  }

  async #copyOn(segment: Segment, limit: number): Promise<number> {
    const { index, journal, reader, writer, hands } = this.#options
    const rows = await index.ask('inSegment', { segment, limit })
    for (const { n, location } of rows) {
      const stored = await reader.copyOn(location as Mail['location'], writer)
      const place = { location: stored.location, segment: stored.segment }
      this.moved.set(n, place)
      const mail = hands.find(stored.id)
      if (mail) Object.assign(mail, place)
      journal.add({ relocate: [{ n, ...place }] })
    }
    await journal.flush()
    return rows.length
  }
}
