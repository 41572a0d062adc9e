import type { RecordEvent } from '@postern/runtime/worker.ts'
import { SpoolDamaged, type SpoolReader } from '@postern/spool/spool.ts'
import type { Index } from '../index/index-thread.ts'
import type { IndexWriter } from '../index/index-writer.ts'
import type { MessageRow } from '../index/rows.ts'
import type { ActiveMessages } from '../message/active-messages.ts'
import { editsFrom } from '../message/header-edits.ts'
import type { QueuedMessage } from '../message/message.ts'
import { active, deferred, held } from '../message/message.ts'
import type { QueueClock } from '../message/queue-clock.ts'
import { reasonText } from '../message/waiting-reason.ts'
import { hostAndPort } from '../route/destination.ts'
import type { Transport } from './concurrency-slots.ts'
import type { Scheduler } from './scheduler.ts'

/** Loads due mail from the index into the destination queues, a little of every domain at a time. */
export type DueOptions = {
  index: Index
  reader: SpoolReader
  indexWriter: IndexWriter
  scheduler: Scheduler
  clock: QueueClock
  activeMessages: ActiveMessages
  record: RecordEvent
  /** Where messages lie that were copied on a moment ago. */
  moved: ReadonlyMap<number, Pick<QueuedMessage, 'location' | 'segment'>>
}

const domainsAtOnce = 2000
const rowsAtOnce = 2000
const longestSleep = 1000

export class DueLoader {
  readonly #options: DueOptions
  #timer: NodeJS.Timeout | undefined
  #current: Promise<void> | undefined
  #running = false
  /** Callers of whilePaused() that are running. */
  #pauses = 0
  /** The ring of domains goes on from here. */
  #after = ''
  #nextAt = Number.POSITIVE_INFINITY

  constructor(options: DueOptions) {
    this.#options = options
  }

  start(): void {
    this.#running = true
    this.wake()
  }

  async stop(): Promise<void> {
    this.#running = false
    clearTimeout(this.#timer)
    await this.#current
  }

  /** There may be room, or something due. */
  wake(): void {
    if (!this.#running || this.#current || this.#pauses > 0) return
    clearTimeout(this.#timer)
    this.#current = this.#run()
  }

  /**
   * Runs `work` while nothing is being loaded from the index. During a load a message is active in the index and not yet in
   * memory, so an order would miss it.
   */
  async whilePaused<T>(work: () => Promise<T>): Promise<T> {
    this.#pauses++
    try {
      await this.#current
      return await work()
    } finally {
      this.#pauses--
      this.wake()
    }
  }

  async #run(): Promise<void> {
    let pause = longestSleep
    try {
      pause = await this.#round()
    } catch {
      // The index writer reports what is wrong with the index.
    }
    this.#current = undefined
    if (this.#running) this.#timer = setTimeout(() => this.wake(), pause)
  }

  /** One look around; answers how long to sleep. */
  async #round(): Promise<number> {
    const { index, scheduler, clock } = this.#options
    if (index.counts.recipients[deferred] === 0) return longestSleep
    const started = performance.now()
    const domains = await index.ask('domains', { after: this.#after, limit: domainsAtOnce })
    const now = clock.now()
    for (const [, dueAt] of domains) if (dueAt > now) this.#nextAt = Math.min(this.#nextAt, dueAt)
    const due = domains.filter(([, dueAt]) => dueAt <= now).map(([domain]) => domain)
    const quotas = quotasFor(due, scheduler)
    const { rows, stoppedAt } =
      quotas.length > 0 ? await index.ask('load', { now, quotas, limit: rowsAtOnce }) : nothing
    await this.#loadAll(rows)
    const more = stoppedAt !== undefined || domains.length === domainsAtOnce
    this.#after = more ? before(domains, stoppedAt) : ''
    const took = performance.now() - started
    if (more || rows.length >= rowsAtOnce) return Math.max(5, took)
    // A ring of very many domains is not walked all the time.
    const pause = Math.min(Math.max(this.#nextAt - now, rows.length > 0 ? 50 : 100), longestSleep)
    this.#nextAt = Number.POSITIVE_INFINITY
    return Math.max(pause, took * 5)
  }

  async #loadAll(rows: readonly MessageRow[]): Promise<void> {
    for (let from = 0; from < rows.length; from += 32) {
      await Promise.all(rows.slice(from, from + 32).map((row) => this.#load(row)))
    }
  }

  async #load(row: MessageRow): Promise<void> {
    const { scheduler, indexWriter } = this.#options
    const mail = await this.activate(row)
    if (!mail) return
    const noRoom = scheduler.add(
      mail,
      row.recipients.map(({ r }) => r),
    )
    indexWriter.settle(
      mail,
      noRoom.map((r) => ({ r, to: { ...(mail.pending.get(r) ?? never()), state: deferred } })),
    )
  }

  /** Makes active rows a message in memory. `undefined`: its envelope cannot be read. It is held then, and an event says so. */
  async activate(row: MessageRow): Promise<QueuedMessage | undefined> {
    const { activeMessages, record, reader, moved, indexWriter } = this.#options
    try {
      const mail = activeMessages.find(row.id) ?? (await this.#make(row, reader))
      // Two loads of one message may have waited for its envelope together: the first to come back is the one.
      const known = activeMessages.find(row.id) ?? mail
      activeMessages.add(known)
      for (const { r, tries, nextAt, cause } of row.recipients)
        known.pending.set(r, { state: active, tries, nextAt, cause })
      Object.assign(known, moved.get(row.n))
      return known
    } catch (error) {
      const detail = error instanceof SpoolDamaged ? error.message : `cannot be read: ${(error as Error).message}`
      record('message.damaged', { messageId: row.id, where: row.location, detail })
      const update = row.recipients.map(({ r, tries }) => ({
        n: row.n,
        r,
        state: held,
        tries,
        nextAt: 0,
        cause: reasonText({ holder: detail }),
      }))
      indexWriter.add({ update })
      return undefined
    }
  }

  async #make(row: MessageRow, reader: SpoolReader): Promise<QueuedMessage> {
    const stored = this.#options.moved.get(row.n) ?? (row as unknown as Pick<QueuedMessage, 'location' | 'segment'>)
    return {
      n: row.n,
      envelope: await reader.readEnvelope(stored.location),
      location: stored.location,
      segment: stored.segment,
      bytes: row.bytes,
      waitsSince: row.waitsSince,
      headerEdits: editsFrom(row.headerEdits),
      signature: undefined,
      recorded: true,
      batch: undefined,
      rerouted: row.rerouted ? hostAndPort(row.rerouted) : undefined,
      warned: row.warned,
      pending: new Map(),
      delivered: 0,
      bounced: 0,
      discarded: 0,
      ordered: undefined,
      orderedBy: '',
    }
  }
}

const nothing = { rows: [], stoppedAt: undefined }

/** How much of each domain is loaded: at most what its destination queue and its transport have room for. */
function quotasFor(domains: readonly string[], scheduler: Scheduler): [string, number][] {
  const left = new Map<Transport, number>()
  return domains.flatMap((domain): [string, number][] => {
    const { transport, limit } = scheduler.roomFor(domain)
    const rest = left.get(transport) ?? scheduler.roomOf(transport)
    const quota = Math.min(limit, rest)
    left.set(transport, rest - quota)
    return quota > 0 ? [[domain, quota]] : []
  })
}

/** From where the ring goes on: after the last domain that was asked. */
function before(domains: readonly [string, number][], stoppedAt: string | undefined): string {
  const at = stoppedAt === undefined ? domains.length : domains.findIndex(([domain]) => domain === stoppedAt)
  return domains[at - 1]?.[0] ?? ''
}

function never(): never {
  throw new Error('a recipient without room was not open')
}
