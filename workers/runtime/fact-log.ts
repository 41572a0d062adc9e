import type { FactBatch } from '@postern/contract/worker-protocol.ts'
import { compressLines } from './compress.ts'
import { Shipper } from './shipper.ts'

/**
 * Facts of decisions in transit to storage, for the replay. Recording is synchronous and cheap. Compressing and
 * shipping happen in the background, one batch at a time. Facts are kept only in memory, within limits. Those without
 * room are dropped and counted, and the next batch reports the count. This is acceptable because facts only serve the
 * replay, not the books.
 */
export type FactLogOptions = {
  send: (batch: FactBatch) => Promise<void>
  /** Called at most once for a run of failures. */
  failed?: (error: unknown) => void
  /** A batch is sent when it is this old or full. */
  everyMs?: number
}

const maxLines = 5_000
const maxBytes = 4_000_000
/** Maximum number of lines that wait while a batch is compressed or shipped. */
const maxWaiting = 20_000
/** Limit so that the waiting lines still fit into one batch: a session with a thousand recipients is a long line. */
const maxWaitingBytes = 8_000_000
/** Maximum number of batches that wait for storage: some minutes of heavy traffic. */
const maxBatches = 64
const restFactor = 3
const pauses = { firstMs: 1000, longestMs: 30_000 }

export class FactLog {
  readonly #options: Required<FactLogOptions>
  #lines: string[] = []
  #bytes = 0
  #since = 0
  #until = 0
  #dropped = 0
  #batches: FactBatch[] = []
  #timer: NodeJS.Timeout | undefined
  #packing: Promise<void> | undefined
  readonly #shipper: Shipper<FactBatch>

  constructor(options: FactLogOptions) {
    this.#options = { failed: () => {}, everyMs: 2_000, ...options }
    this.#shipper = new Shipper({
      next: () => this.#batches[0],
      send: (batch) => this.#send(batch),
      refused: (batch) => this.#drop(batch),
      // 404: a release of the API without replay.
      refusals: [400, 404, 413, 422],
      restMs: (tookMs) => tookMs * restFactor,
      pauses,
      failed: this.#options.failed,
    })
  }

  /** Records one session as one line of JSON, and its time. Never throws or waits. */
  record(line: string, now: number): void {
    if (this.#lines.length >= maxWaiting || this.#bytes + line.length > maxWaitingBytes) {
      this.#dropped++
      return
    }
    if (this.#lines.length === 0) this.#since = now
    this.#since = Math.min(this.#since, now)
    this.#until = Math.max(this.#until, now)
    this.#lines.push(line)
    this.#bytes += line.length
    if (this.#isFull) void this.#pack()
    else this.#packSoon()
  }

  /** Whether there is enough for a batch. */
  get #isFull(): boolean {
    return this.#lines.length >= maxLines || this.#bytes >= maxBytes
  }

  #packSoon(): void {
    this.#timer ??= setTimeout(() => void this.#pack(), this.#options.everyMs)
  }

  /** Compresses recorded sessions, one batch at a time, and ships them. */
  #pack(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#packing ??= this.#packAll().finally(() => {
      this.#packing = undefined
      if (this.#lines.length > 0) this.#packSoon()
    })
    return this.#packing
  }

  async #packAll(): Promise<void> {
    do await this.#packOne()
    while (this.#isFull)
  }

  async #packOne(): Promise<void> {
    const lines = this.#lines
    if (lines.length === 0) return
    const { since, until } = { since: this.#since, until: this.#until }
    this.#lines = []
    this.#bytes = 0
    this.#until = 0
    const bytes = await compressLines(lines)
    this.#batches.push({
      id: crypto.randomUUID(),
      since,
      until,
      sessions: lines.length,
      dropped: 0,
      records: bytes,
    })
    while (this.#batches.length > maxBatches) this.#dropped += this.#batches.shift()?.sessions ?? 0
    this.#shipper.wake()
  }

  async #send(batch: FactBatch): Promise<void> {
    const dropped = this.#dropped
    await this.#options.send({ ...batch, dropped })
    this.#dropped -= dropped
    this.#forget(batch)
  }

  #drop(batch: FactBatch): void {
    this.#dropped += batch.sessions
    this.#forget(batch)
  }

  /** The batch may already have been dropped to make room. */
  #forget(batch: FactBatch): void {
    const at = this.#batches.indexOf(batch)
    if (at >= 0) this.#batches.splice(at, 1)
  }

  /** Number of recorded sessions that storage does not have yet. */
  get waiting(): number {
    return this.#batches.reduce((sum, { sessions }) => sum + sessions, this.#lines.length)
  }

  /** Ships what is left, for at most `graceMs`, and ends. Sessions that storage does not accept in this time are lost. */
  async close(graceMs = 2_000): Promise<void> {
    await this.#packing
    await this.#pack()
    clearTimeout(this.#timer)
    await this.#shipper.close(graceMs)
  }
}
