import type { RecordEvent } from '@postern/runtime/worker.ts'
import { type Cursor, type Segment, SpoolDamaged, type SpoolReader, type SpoolWriter } from '@postern/spool/spool.ts'
import type { ActiveMessages } from '../message/active-messages.ts'
import type { QueuedMessage } from '../message/message.ts'
import type { Index } from './index-thread.ts'
import type { IndexWriter } from './index-writer.ts'

/** Gives segments back in which nothing waits, and copies on the few messages that keep a segment. */
export type ReclaimOptions = {
  index: Index
  indexWriter: IndexWriter
  reader: SpoolReader
  writer: SpoolWriter
  activeMessages: ActiveMessages
  record: RecordEvent
  /** Space is not given back; `undefined`: it is again. */
  trouble(error: Error | undefined): void
}

const everyMs = 10_000
const copiesAtOnce = 500

export class Reclaim {
  readonly #options: ReclaimOptions
  #timer: NodeJS.Timeout | undefined
  #working: Promise<void> | undefined
  #stopped = false
  /** New locations of messages that were copied lately, by number: a load in progress may still have the old one. */
  readonly moved = new Map<number, Pick<QueuedMessage, 'location' | 'segment'>>()
  freed = 0
  /** Messages that cannot be copied on because they are damaged, by number: told once, and passed over. */
  readonly #damaged = new Set<number>()

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
    const { trouble } = this.#options
    this.#working ??= this.#round()
      .then(() => trouble(undefined), trouble)
      .finally(() => {
        this.#working = undefined
      })
    return this.#working
  }

  async #round(): Promise<void> {
    const { index, indexWriter, reader } = this.#options
    // The cursors first: what is taken over after them lies behind them, and is not touched.
    const cursors = new Map(indexWriter.cursors) as Map<string, Cursor>
    const waiting = new Map((await index.ask('waiting')) as [Segment, { messages: number; bytes: number }][])
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
    const { index, indexWriter } = this.#options
    const rows = await index.ask('inSegment', { segment, limit: limit + this.#damaged.size })
    const whole = rows.filter(({ n }) => !this.#damaged.has(n)).slice(0, limit)
    for (const row of whole) await this.#copyOne(row)
    await indexWriter.flush()
    return whole.length
  }

  /** A damaged message stays where it is, and with it its segment; the others leave it. */
  async #copyOne({ n, id, location }: { n: number; id: string; location: string }): Promise<void> {
    const { indexWriter, reader, writer, activeMessages, record } = this.#options
    try {
      const stored = await reader.copyOn(location as QueuedMessage['location'], writer)
      const moved = { location: stored.location, segment: stored.segment }
      this.moved.set(n, moved)
      const mail = activeMessages.find(id)
      if (mail) Object.assign(mail, moved)
      indexWriter.add({ relocate: [{ n, ...moved }] })
    } catch (error) {
      if (!(error instanceof SpoolDamaged)) throw error
      this.#damaged.add(n)
      const detail = `${error.damage.reason}: found when its segment was to be given back; the segment is kept`
      record('message.damaged', { messageId: id, where: location, detail })
    }
  }
}
