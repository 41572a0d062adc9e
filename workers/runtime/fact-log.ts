import { promisify } from 'node:util'
import { constants, zstdCompress } from 'node:zlib'
import type { FactBatch } from '@postern/contract/worker-protocol.ts'
import { BackOff } from '@postern/net/back-off.ts'

/**
 * Facts of decisions on their way to storage, for the replay. Recording is synchronous and cheap, compressing and shipping
 * happen behind it, one batch at a time. They are a view of the past, not the books: they are held in memory only, within
 * bounds, and what finds no room is dropped and counted; the next batch says how many.
 */
export type FactLogOptions = {
  send: (batch: FactBatch) => Promise<void>
  /** Called at most once for a run of failures. */
  failed?: (error: unknown) => void
  /** A batch goes when it is this old, or full. */
  everyMs?: number
}

const maxLines = 5_000
const maxOctets = 4_000_000
/** Lines that may wait while a batch is compressed or shipped. */
const maxWaiting = 20_000
/** So that they still fit into one batch: a session with a thousand recipients is a long line. */
const maxWaitingOctets = 8_000_000
/** Batches that may wait for storage: some minutes of heavy traffic. */
const maxBatches = 64
const restFactor = 3
const retryPauses = { firstMs: 1000, longestMs: 30_000 }

const compress = promisify(zstdCompress)
const level = { params: { [constants.ZSTD_c_compressionLevel]: 3 } }

export class FactLog {
  readonly #options: Required<FactLogOptions>
  #lines: string[] = []
  #octets = 0
  #since = 0
  #until = 0
  #dropped = 0
  #batches: FactBatch[] = []
  #timer: NodeJS.Timeout | undefined
  #working: Promise<void> | undefined
  #closing = false

  constructor(options: FactLogOptions) {
    this.#options = { failed: () => {}, everyMs: 2_000, ...options }
  }

  /** One session as JSON on one line, and when it was. Never throws, never waits. */
  record(line: string, now: number): void {
    if (this.#lines.length >= maxWaiting || this.#octets + line.length > maxWaitingOctets) {
      this.#dropped++
      return
    }
    if (this.#lines.length === 0) this.#since = now
    this.#since = Math.min(this.#since, now)
    this.#until = Math.max(this.#until, now)
    this.#lines.push(line)
    this.#octets += line.length
    if (this.#isFull) this.#work()
    else this.#timer ??= setTimeout(() => this.#work(), this.#options.everyMs)
  }

  /** Enough for a batch. */
  get #isFull(): boolean {
    return this.#lines.length >= maxLines || this.#octets >= maxOctets
  }

  #work(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#working ??= this.#pass().finally(() => {
      this.#working = undefined
      if (!this.#closing && (this.#lines.length > 0 || this.#batches.length > 0))
        this.#timer ??= setTimeout(() => this.#work(), this.#isFull ? 0 : this.#options.everyMs)
    })
  }

  /** Compresses what has come and ships what waits. */
  async #pass(): Promise<void> {
    if (this.#lines.length > 0) await this.#pack()
    const backOff = new BackOff(retryPauses)
    let failing = false
    while (this.#batches.length > 0 && !this.#closing) {
      const startedAt = performance.now()
      const sent = await this.#sendFirst(!failing)
      if (this.#isFull) await this.#pack()
      failing = !sent
      if (sent) backOff.reset()
      await this.#rest(sent ? (performance.now() - startedAt) * restFactor : backOff.next())
    }
  }

  async #pack(): Promise<void> {
    const lines = this.#lines
    const { since, until } = { since: this.#since, until: this.#until }
    this.#lines = []
    this.#octets = 0
    this.#until = 0
    const octets = await compress(`${lines.join('\n')}\n`, level)
    this.#batches.push({
      id: crypto.randomUUID(),
      since,
      until,
      sessions: lines.length,
      dropped: 0,
      encoding: 'zstd',
      records: octets.toString('base64'),
    })
    while (this.#batches.length > maxBatches) this.#dropped += this.#batches.shift()?.sessions ?? 0
  }

  async #sendFirst(isNews: boolean): Promise<boolean> {
    const [batch] = this.#batches
    if (!batch) return true
    const dropped = this.#dropped
    try {
      await this.#options.send({ ...batch, dropped })
    } catch (error) {
      const { status } = error as { status?: number }
      if (isNews) this.#options.failed(error)
      // What storage refuses it will refuse again.
      if (status !== 400 && status !== 413 && status !== 422 && status !== 404) return false
      this.#dropped += batch.sessions
      this.#forget(batch)
      return true
    }
    this.#dropped -= dropped
    this.#forget(batch)
    return true
  }

  /** It may have been dropped meanwhile, to make room. */
  #forget(batch: FactBatch): void {
    const at = this.#batches.indexOf(batch)
    if (at >= 0) this.#batches.splice(at, 1)
  }

  #wake: (() => void) | undefined

  #rest(ms: number): Promise<void> {
    return new Promise((go) => {
      const timer = setTimeout(go, this.#closing ? 0 : ms)
      this.#wake = () => {
        clearTimeout(timer)
        go()
      }
    })
  }

  /** Sessions recorded that storage does not have yet. */
  get waiting(): number {
    return this.#batches.reduce((sum, { sessions }) => sum + sessions, this.#lines.length)
  }

  /** Ships what is there, once and for at most `graceMs`, and ends. What storage does not take by then is lost. */
  async close(graceMs = 2_000): Promise<void> {
    this.#closing = true
    clearTimeout(this.#timer)
    this.#wake?.()
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, graceMs)
    })
    await Promise.race([this.#last(), timeout])
    clearTimeout(timer)
  }

  async #last(): Promise<void> {
    await this.#working
    if (this.#lines.length > 0) await this.#pack()
    while (this.#batches.length > 0 && (await this.#sendFirst(false)));
  }
}
