import { cutFields } from '@postern/contract/event-lengths.ts'
import type { EventFields, EventType } from '@postern/contract/events.ts'
import { type EventBatch, maxBatchEvents } from '@postern/contract/worker-protocol.ts'
import { compressLines } from './compress.ts'
import { EventFiles, type EventLine } from './event-files.ts'
import { Shipper } from './shipper.ts'

/**
 * Events in transit to storage. Recording is synchronous and cheap. Writing, compressing and shipping happen in the
 * background and never slow mail. An event is shipped only after it was written to disk, so a number that storage has
 * is never assigned twice. Files are removed when storage has all of them. Beyond `maxBytes` the oldest files are
 * removed, and the loss is reported.
 */
export type EventLogOptions = {
  directory: string
  /** Stores a batch. Resolves with the number up to which storage has the log; it may be below the batch. */
  send: (batch: EventBatch) => Promise<number>
  maxBytes?: number
  rests?: typeof usualRests
  /** Called at most once for a run of failures. */
  failed?: (error: unknown) => void
  /** The disk refused a write. Called at most once until it accepts one again. */
  refused?: (error: unknown) => void
}

/** Maximum bytes of a batch before compression. */
const maxBatchBytes = 4_000_000
/** Maximum number of lines in memory. Further lines are only on disk. */
const linesInMemory = 20_000
/** Maximum number of lines kept for a disk that refused them. */
const maxRefused = 50_000
/** Maximum number of lines in one write. */
const linesAtOnce = 5_000
const flushAfterMs = 25
/** Pause after the disk refused a write. */
const tryAgainMs = 1_000
/**
 * Milliseconds after a batch. Events within this time travel together: those of a quiet log are seen soon, and a busy one
 * does not send a batch for every few. A full batch is shipped without rest.
 */
const usualRests = { quiet: 200, busy: 500 }
/** A log with as many events in a batch is busy. */
const busyEvents = 100
/** Pauses while storage cannot be reached. */
const pauses = { firstMs: 200, longestMs: 5_000 }
const acceptedIn = /"type":"message\.accepted","messageId":"([^"]{36})"/

export class EventLog {
  readonly #options: Required<EventLogOptions>
  readonly #files: EventFiles
  #next: number
  #toWrite: EventLine[] = []
  #toShip: EventLine[] = []
  /**
   * The first event that is on disk but not in `#toShip`. Events from this number on are read back when it is their
   * turn.
   */
  #onDiskFrom: number | undefined
  #written: number
  /** Storage has the log up to this number, or will never get what is missing below it. */
  #acknowledged: number
  /** Storage's own position in the log. What is missing between it and the next batch is a hole in the log. */
  #storedUpTo = 0
  #batchSize = maxBatchEvents
  #restMs = 0
  /** Lines that the disk refused. In order, and later than any line on disk. */
  #refused: EventLine[] = []
  #refusal: unknown
  #flushing: Promise<void> | undefined
  #flushTimer: NodeJS.Timeout | undefined
  readonly #shipper: Shipper<EventLine[]>
  #isShipping = false
  readonly #accepted: ReadonlySet<string>

  private constructor(options: EventLogOptions, files: EventFiles, accepted: ReadonlySet<string>) {
    this.#options = { maxBytes: 1_073_741_824, rests: usualRests, failed: () => {}, refused: () => {}, ...options }
    this.#files = files
    this.#accepted = accepted
    this.#written = files.last
    this.#next = files.last + 1
    this.#onDiskFrom = files.oldest
    this.#acknowledged = (files.oldest ?? this.#next) - 1
    this.#shipper = new Shipper({
      next: () => this.#nextBatch(),
      send: (batch) => this.#send(batch),
      refused: (batch, error) => this.#refusedByStorage(batch, error),
      restMs: () => this.#restMs,
      pauses,
      failed: this.#options.failed,
    })
  }

  /** Opens the log and finds events of an earlier process. */
  static async open(options: EventLogOptions): Promise<EventLog> {
    const accepted = new Set<string>()
    const files = await EventFiles.open(options.directory, ({ text }) => {
      const id = acceptedIn.exec(text)?.[1]
      if (id) accepted.add(id)
    })
    return new EventLog(options, files, accepted)
  }

  /** Names the log that the numbers belong to. */
  get id(): string {
    return this.#files.id
  }

  /**
   * Returns whether an earlier process recorded the acceptance of this message among the last events on disk. False
   * proves nothing.
   */
  wasAccepted(messageId: string): boolean {
    return this.#accepted.has(messageId)
  }

  record = <T extends EventType>(type: T, fields: EventFields<T>): void =>
    this.keep(type, cutFields(type, fields), true)

  /** `log`: whether storage shows the event in its log. The trace of a message has it in either case. */
  keep<T extends EventType>(type: T, fields: EventFields<T>, log: boolean, at = new Date().toISOString()): void {
    const n = this.#next++
    const event = log ? { n, at, type, ...fields } : { n, at, type, ...fields, log }
    this.#toWrite.push({ n, hour: at.slice(0, 13), text: JSON.stringify(event) })
    this.#flushIn(this.#refused.length > 0 ? tryAgainMs : flushAfterMs)
  }

  /** Number of events that storage does not have yet. */
  get unsent(): number {
    return this.#next - 1 - this.#acknowledged
  }

  /**
   * Resolves when everything recorded so far is in the operating system or in storage, so that killing the process does
   * not lose it. Rejects if the disk refuses.
   */
  async flush(): Promise<void> {
    clearTimeout(this.#flushTimer)
    this.#flushTimer = undefined
    while (this.#flushing) await this.#flushing
    if (this.#toWrite.length > 0 || this.#refused.length > 0) {
      this.#flushing = this.#write(this.#toWrite.splice(0)).finally(() => {
        this.#flushing = undefined
      })
      await this.#flushing
    }
    if (this.#refused.length > 0) throw this.#refusal
  }

  /** Like `flush`, and the events also survive a crash of the machine. Rejects if the disk refuses. */
  async sync(): Promise<void> {
    await this.flush()
    while (this.#flushing) await this.#flushing
    await this.#files.sync()
  }

  /** The current disk error; `undefined` if there is none. */
  get trouble(): string | undefined {
    return this.#refused.length > 0 ? String((this.#refusal as Error).message) : undefined
  }

  #flushIn(ms: number): void {
    this.#flushTimer ??= setTimeout(() => void this.flush().catch(() => {}), ms)
  }

  /**
   * Writes lines to disk. Never rejects: lines that the disk refuses stay in memory up to a limit, are shipped from
   * there, and are written later.
   */
  async #write(lines: EventLine[]): Promise<void> {
    const waiting = [...this.#refused, ...lines]
    let written = 0
    try {
      for (; written < waiting.length; written += linesAtOnce)
        await this.#files.append(waiting.slice(written, written + linesAtOnce))
      this.#refusal = undefined
    } catch (error) {
      if (this.#refusal === undefined) this.#options.refused(error)
      this.#refusal = error
    }
    this.#refused = waiting.slice(written)
    this.#written = lines.at(-1)?.n ?? this.#written
    if (this.#onDiskFrom === undefined && this.#toShip.length + lines.length <= linesInMemory)
      this.#toShip.push(...lines)
    else this.#onDiskFrom ??= lines[0]?.n
    await this.#dropOldest()
    this.#forgetRefused()
    if (this.#refused.length > 0) this.#flushIn(tryAgainMs)
    if (!this.#isShipping) return
    if (this.#toShip.length >= this.#batchSize) this.#shipper.hurry()
    else this.#shipper.wake()
  }

  /**
   * Drops refused lines that storage already has. Beyond the limit the oldest are dropped, and those that exist nowhere
   * else are reported as lost.
   */
  #forgetRefused(): void {
    this.#refused = this.#refused.filter(({ n }) => n > this.#acknowledged)
    const gone = this.#refused.splice(0, Math.max(0, this.#refused.length - maxRefused))
    const last = gone.at(-1)
    if (!last || this.#onDiskFrom === undefined) return
    const from = this.#onDiskFrom
    const count = gone.filter(({ n }) => n >= from).length
    if (count === 0) return
    this.#onDiskFrom = last.n + 1
    this.record('log.dropped', { count, because: 'the disk refused them, and storage was unreachable' })
  }

  async #dropOldest(): Promise<void> {
    const left = await this.#files.keepBelow(this.#options.maxBytes)
    // What is still in memory is shipped from there.
    if (left === undefined || this.#onDiskFrom === undefined || this.#onDiskFrom >= left) return
    const lost = left - this.#onDiskFrom
    this.#onDiskFrom = left
    this.record('log.dropped', {
      count: lost,
      because: `more than ${this.#options.maxBytes} bytes waited for storage`,
    })
  }

  /**
   * Starts shipping, one batch after another. `stored`: the number up to which storage has this log. If storage has
   * more than an earlier process left here (its disk was restored, or lost power), a new log begins: the same numbers
   * would stand for other events.
   */
  async startShipping(stored: number): Promise<void> {
    const { recovered } = this.#files
    if (stored > recovered) await this.#files.beginLog(recovered + 1)
    this.#storedUpTo = stored > recovered ? 0 : stored
    this.#skipTo(Math.min(stored, recovered))
    this.#isShipping = true
    this.#shipper.wake()
  }

  /** Nothing up to this number has to be shipped. */
  #skipTo(n: number): void {
    if (n <= this.#acknowledged) return
    this.#acknowledged = n
    const left = this.#toShip.findIndex((line) => line.n > n)
    this.#toShip.splice(0, left === -1 ? this.#toShip.length : left)
    if (this.#onDiskFrom !== undefined && this.#onDiskFrom <= n)
      this.#onDiskFrom = n < this.#written ? n + 1 : undefined
  }

  /** The next lines with contiguous numbers from one hour. */
  async #nextBatch(): Promise<EventLine[] | undefined> {
    if (this.#toShip.length === 0) await this.#readBack()
    const [first] = this.#toShip
    if (!first) return undefined
    let count = 0
    let bytes = 0
    for (const { n, hour, text } of this.#toShip) {
      bytes += text.length + 1
      if (n !== first.n + count || hour !== first.hour) break
      if (count > 0 && (count === this.#batchSize || bytes > maxBatchBytes)) break
      count++
    }
    if (this.#toShip.length > count || this.#onDiskFrom !== undefined) this.#restMs = 0
    else this.#restMs = this.#options.rests[count < busyEvents ? 'quiet' : 'busy']
    return this.#toShip.slice(0, count)
  }

  async #send(lines: readonly EventLine[]): Promise<void> {
    const [first, last] = [lines[0] as EventLine, lines.at(-1) as EventLine]
    const content = await compressLines(lines.map(({ text }) => text))
    const stored = await this.#options.send({
      log: this.#files.id,
      after: this.#storedUpTo,
      first: first.n,
      last: last.n,
      content,
    })
    this.#storedUpTo = stored
    if (stored < last.n) return this.#goBackTo(stored)
    await this.#settle(last.n)
    this.#batchSize = Math.min(maxBatchEvents, this.#batchSize * 2)
  }

  /** Storage has less than it once acknowledged: it was restored. What is still on disk is shipped again. */
  #goBackTo(stored: number): void {
    this.#toShip = []
    this.#onDiskFrom = Math.max(stored + 1, this.#files.oldest ?? this.#next)
    this.#acknowledged = this.#onDiskFrom - 1
  }

  async #settle(n: number): Promise<void> {
    this.#skipTo(n)
    if (!this.#flushing) this.#forgetRefused()
    await this.#files.removeUpTo(this.#acknowledged)
  }

  /**
   * Handles a refused batch. A single bad event must not block later ones: the batch is halved until that event is
   * alone, then the event is dropped and reported.
   */
  async #refusedByStorage(batch: readonly EventLine[], error: unknown): Promise<void> {
    if (batch.length > 1) {
      this.#batchSize = Math.ceil(batch.length / 2)
      return
    }
    this.record('log.dropped', { count: 1, because: `storage refused it: ${String(error)}` })
    await this.#settle(batch[0]?.n ?? 0)
    this.#batchSize = Math.min(maxBatchEvents, this.#batchSize * 2)
  }

  async #readBack(): Promise<void> {
    const from = this.#onDiskFrom
    if (from === undefined) return
    const found = await this.#files.readFrom(from)
    if (found.damaged > 0) this.record('log.dropped', { count: found.damaged, because: 'the disk has damaged them' })
    const lines = found.lines.filter(({ n }) => n <= this.#written)
    const last = lines.at(-1)?.n ?? from - 1
    if (found.next === undefined) lines.push(...this.#refused.filter(({ n }) => n > last && n <= this.#written))
    this.#toShip.push(...lines)
    const end = lines.at(-1)?.n ?? this.#written
    this.#onDiskFrom = found.next ?? (end < this.#written ? end + 1 : undefined)
  }

  /** Writes everything, gives shipping `graceMs` to empty the log, and closes. The next process ships the rest. */
  async close(graceMs = 2_000): Promise<void> {
    await this.flush().catch(() => {})
    if (this.#isShipping) await this.#shipper.close(graceMs)
    await this.flush().catch(() => {})
    clearTimeout(this.#flushTimer)
    await this.#files.close()
  }
}
