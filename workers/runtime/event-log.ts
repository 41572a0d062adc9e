import { constants } from 'node:fs'
import { type FileHandle, open, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cutFields } from '@postern/contract/event-lengths.ts'
import type { EventFields, EventType } from '@postern/contract/events.ts'
import { makeDirectory, syncDirectory, writeAll } from './disk.ts'
import { Shipper } from './shipper.ts'

/**
 * Events in transit to storage. Recording is synchronous and cheap. Writing and shipping happen in the background and
 * never slow mail. An event is shipped only after it was written to disk, so a number that storage has is never
 * assigned twice. Files are named after their first number, and a file is removed when storage has all of it. Beyond
 * `maxBytes` the oldest files are removed, and the loss is reported.
 */
export type EventLogOptions = {
  directory: string
  /** Sends lines to storage. Resolves with the number up to which storage has them. */
  send: (lines: readonly string[]) => Promise<number>
  maxBytes?: number
  /** Called at most once for a run of failures. */
  failed?: (error: unknown) => void
  /** The disk refused a write. Called at most once until it accepts one again. */
  refused?: (error: unknown) => void
}

const { O_APPEND, O_CREAT, O_TRUNC, O_WRONLY } = constants

type Line = { n: number; text: string }
type LogFile = { first: number; bytes: number }

const batchSize = 500
const linesPerFile = 20_000
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
 * After a batch, shipping rests three times as long as storage took for it. Events thus take at most a quarter of
 * storage's time, mail goes first, and batches are full under load. The fixed cost of a batch equals about a hundred
 * events, so events within `shortestRestMs` travel together. A backlog above `hurryAbove` is shipped without rest.
 */
const restFactor = 3
const shortestRestMs = 100
const longestRestMs = 500
const hurryAbove = 500_000
/** Pauses while storage cannot be reached. */
const pauses = { firstMs: 200, longestMs: 5_000 }
const acceptedIn = /"type":"message\.accepted","messageId":"([^"]{36})"/g

export class EventLog {
  readonly #options: Required<EventLogOptions>
  #next: number | undefined
  /** Events recorded before the first number was known. */
  #unnumbered: { type: EventType; fields: object; at: string; log: boolean }[] = []
  #toWrite: Line[] = []
  #toShip: Line[] = []
  /**
   * The first event that is on disk but not in `#toShip`. Events from this number on are read back when it is their
   * turn.
   */
  #onDiskFrom: number | undefined
  #files: LogFile[] = []
  #current: FileHandle | undefined
  #currentLines = 0
  #written = 0
  #batchSize = batchSize
  #acknowledged = 0
  /** Lines that the disk refused. In order, and later than any line on disk. */
  #refused: Line[] = []
  #refusal: unknown
  #isDirectoryDirty = true
  #flushing: Promise<void> | undefined
  #flushTimer: NodeJS.Timeout | undefined
  readonly #shipper: Shipper<Line[]>
  #isShipping = false
  #accepted = new Set<string>()

  private constructor(options: EventLogOptions) {
    this.#options = { maxBytes: 1_073_741_824, failed: () => {}, refused: () => {}, ...options }
    this.#shipper = new Shipper({
      next: () => this.#nextBatch(),
      send: (batch) => this.#send(batch),
      refused: (batch, error) => this.#refusedByStorage(batch, error),
      restMs: (tookMs) => this.#restMs(tookMs),
      pauses,
      failed: this.#options.failed,
    })
  }

  /**
   * Opens the log and finds events of an earlier process. With an empty directory, numbers are assigned only after
   * `numberFrom`.
   */
  static async open(options: EventLogOptions): Promise<EventLog> {
    const log = new EventLog(options)
    await log.#recover()
    return log
  }

  async #recover(): Promise<void> {
    const { directory } = this.#options
    await makeDirectory(directory)
    const names = (await readdir(directory)).filter((name) => /^\d{15}\.ndjson$/.test(name)).sort()
    for (const [i, name] of names.entries()) {
      const text = await readFile(join(directory, name), 'utf8')
      if (i >= names.length - 2) for (const [, id] of text.matchAll(acceptedIn)) this.#accepted.add(id as string)
      this.#files.push({ first: Number(name.slice(0, 15)), bytes: Buffer.byteLength(text) })
      for (const { n } of linesIn(text)) this.#written = Math.max(this.#written, n)
      if (this.#written === 0) this.#written = Number(name.slice(0, 15)) - 1
    }
    const [oldest] = this.#files
    if (!oldest) return
    this.#next = this.#written + 1
    this.#acknowledged = oldest.first - 1
    this.#onDiskFrom = oldest.first
  }

  /**
   * Returns whether an earlier process recorded the acceptance of this message among the last events on disk. False
   * proves nothing.
   */
  wasAccepted(messageId: string): boolean {
    return this.#accepted.has(messageId)
  }

  /** Sets the first number of an empty log from the last number in storage. A log with its own numbers keeps them. */
  numberFrom(lastStored: number): void {
    if (this.#next !== undefined) return
    this.#next = lastStored + 1
    this.#written = lastStored
    this.#acknowledged = lastStored
    for (const { type, fields, at, log } of this.#unnumbered) this.#enqueue({ type, fields, at, log })
    this.#unnumbered = []
  }

  record = <T extends EventType>(type: T, fields: EventFields<T>): void =>
    this.keep(type, cutFields(type, fields), true)

  /** `log`: whether storage shows the event in its log. The operational record has it in either case. */
  keep<T extends EventType>(type: T, fields: EventFields<T>, log: boolean, at = new Date().toISOString()): void {
    if (this.#next === undefined) {
      if (this.#unnumbered.length < 1000) this.#unnumbered.push({ type, fields, at, log })
      return
    }
    this.#enqueue({ type, fields, at, log })
  }

  #enqueue({ type, fields, at, log }: { type: EventType; fields: object; at: string; log: boolean }): void {
    const n = this.#next as number
    this.#next = n + 1
    const event = log ? { n, at, type, ...fields } : { n, at, type, ...fields, log }
    this.#toWrite.push({ n, text: JSON.stringify(event) })
    this.#flushIn(this.#refused.length > 0 ? tryAgainMs : flushAfterMs)
  }

  /** Number of events that storage does not have yet. */
  get unsent(): number {
    return (this.#next ?? 1) - 1 - this.#acknowledged + this.#unnumbered.length
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
    await this.#current?.datasync()
    if (!this.#isDirectoryDirty) return
    await syncDirectory(this.#options.directory)
    this.#isDirectoryDirty = false
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
  async #write(lines: Line[]): Promise<void> {
    const waiting = [...this.#refused, ...lines]
    let written = 0
    try {
      while (written < waiting.length) written += await this.#append(waiting.slice(written, written + linesAtOnce))
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
    if (this.#isShipping) this.#shipper.wake()
  }

  /** Appends all of these lines or none. */
  async #append(lines: readonly Line[]): Promise<number> {
    if (!this.#current || this.#currentLines >= linesPerFile) await this.#roll(lines[0]?.n ?? this.#written + 1)
    const current = this.#current as FileHandle
    const file = this.#files.at(-1) as LogFile
    const text = Buffer.from(`${lines.map((line) => line.text).join('\n')}\n`)
    try {
      await writeAll(current, text)
    } catch (error) {
      // The next line must not be joined to an incomplete one.
      await current.truncate(file.bytes).catch(() => this.#leave())
      throw error
    }
    this.#currentLines += lines.length
    file.bytes += text.length
    return lines.length
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

  async #leave(): Promise<void> {
    const left = this.#current
    this.#current = undefined
    await left?.close()
  }

  async #roll(first: number): Promise<void> {
    await this.#current?.datasync()
    await this.#leave()
    // A file with this name can only hold the incomplete first line of a killed process.
    this.#current = await open(this.#path(first), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0o600)
    this.#isDirectoryDirty = true
    this.#currentLines = 0
    if (this.#files.at(-1)?.first === first) this.#files.pop()
    this.#files.push({ first, bytes: 0 })
  }

  async #dropOldest(): Promise<void> {
    let total = this.#files.reduce((sum, file) => sum + file.bytes, 0)
    while (total > this.#options.maxBytes && this.#files.length > 1) {
      const [oldest, next] = this.#files as [LogFile, LogFile]
      this.#files.shift()
      total -= oldest.bytes
      await rm(this.#path(oldest.first), { force: true })
      const lost = Math.max(0, next.first - 1 - this.#acknowledged)
      this.#acknowledged = Math.max(this.#acknowledged, next.first - 1)
      if (this.#onDiskFrom !== undefined) this.#onDiskFrom = Math.max(this.#onDiskFrom, next.first)
      if (lost > 0)
        this.record('log.dropped', {
          count: lost,
          because: `more than ${this.#options.maxBytes} bytes waited for storage`,
        })
    }
  }

  /** Starts shipping, one batch after another. */
  startShipping(): void {
    this.#isShipping = true
    this.#shipper.wake()
  }

  #restMs(tookMs: number): number {
    if (this.unsent > hurryAbove) return 0
    const leastMs = this.#toShip.length < batchSize ? shortestRestMs : 0
    return Math.min(longestRestMs, Math.max(leastMs, tookMs * restFactor))
  }

  async #nextBatch(): Promise<Line[] | undefined> {
    if (this.#toShip.length === 0) await this.#readBack()
    const batch = this.#toShip.slice(0, this.#batchSize)
    return batch.length > 0 ? batch : undefined
  }

  async #send(batch: readonly Line[]): Promise<void> {
    const stored = await this.#options.send(batch.map((line) => line.text))
    await this.#settle(batch, stored)
    this.#batchSize = Math.min(batchSize, this.#batchSize * 2)
  }

  /**
   * Removes lines that storage has. Storage may have more than this process sent: an earlier process shipped them and
   * died before the response.
   */
  async #settle(batch: readonly Line[], stored: number): Promise<void> {
    const upTo = Math.max(stored, batch.at(-1)?.n ?? 0)
    const left = this.#toShip.findIndex(({ n }) => n > upTo)
    this.#toShip.splice(0, left === -1 ? this.#toShip.length : left)
    this.#acknowledged = Math.max(this.#acknowledged, Math.min(upTo, this.#written))
    if (!this.#flushing) this.#forgetRefused()
    await this.#removeAcknowledged()
  }

  /**
   * Handles a refused batch. A single bad event must not block later ones: the batch is halved until that event is
   * alone, then the event is dropped and reported.
   */
  async #refusedByStorage(batch: readonly Line[], error: unknown): Promise<void> {
    if (batch.length > 1) {
      this.#batchSize = Math.ceil(batch.length / 2)
      return
    }
    this.record('log.dropped', { count: 1, because: `storage refused it: ${String(error)}` })
    await this.#settle(batch, 0)
    this.#batchSize = Math.min(batchSize, this.#batchSize * 2)
  }

  async #readBack(): Promise<void> {
    const from = this.#onDiskFrom
    if (from === undefined) return
    const file = this.#files.findLast(({ first }) => first <= from) ?? this.#files[0]
    const text = file ? await readFile(this.#path(file.first), 'utf8') : ''
    const lines = linesIn(text).filter(({ n }) => n >= from && n <= this.#written)
    const next = file && this.#files[this.#files.indexOf(file) + 1]
    if (!next) {
      const last = lines.at(-1)?.n ?? from - 1
      lines.push(...this.#refused.filter(({ n }) => n > last && n <= this.#written))
    }
    this.#toShip.push(...lines)
    if (next) this.#onDiskFrom = next.first
    else
      this.#onDiskFrom = (lines.at(-1)?.n ?? this.#written) < this.#written ? (lines.at(-1)?.n ?? from) + 1 : undefined
  }

  /** Keeps the newest file, so that the numbers are not lost. */
  async #removeAcknowledged(): Promise<void> {
    while (this.#files.length > 1 && (this.#files[1]?.first ?? Infinity) - 1 <= this.#acknowledged) {
      const file = this.#files.shift()
      if (file) await rm(this.#path(file.first), { force: true })
    }
  }

  /** Writes everything, gives shipping `graceMs` to empty the log, and closes. The next process ships the rest. */
  async close(graceMs = 2_000): Promise<void> {
    await this.flush().catch(() => {})
    if (this.#isShipping) await this.#shipper.close(graceMs)
    await this.flush().catch(() => {})
    clearTimeout(this.#flushTimer)
    await this.#leave()
  }

  #path(first: number): string {
    return join(this.#options.directory, `${String(first).padStart(15, '0')}.ndjson`)
  }
}

/** Returns complete lines with a number, without a last line that a crash cut off. */
function linesIn(text: string): Line[] {
  const lines: Line[] = []
  for (const line of text.split('\n')) {
    const n = /^\{"n":(\d+),/.exec(line)?.[1]
    if (n && line.endsWith('}')) lines.push({ n: Number(n), text: line })
  }
  return lines
}
