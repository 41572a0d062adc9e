import { randomBytes } from 'node:crypto'
import { maxSentences, type Offence, type OffenceBatchResponse, type OffenceKind } from '@postern/contract/offences.ts'
import { Shipper } from '@postern/runtime/shipper.ts'
import type { RecordEvent } from '@postern/runtime/worker.ts'
import { cut } from './event-fields.ts'

/**
 * Reports the offences of this worker's clients to the API, which counts them over all workers. Noting one is synchronous and
 * cheap: one entry for each address and kind within a few seconds. Reports go at once, then at most every quarter of a second,
 * and again when the API could not be reached. Memory is bounded: past `maxWaiting` the oldest entries are dropped. Mail never
 * waits for a report, and a crash loses what was not sent.
 */
export type OffencesOptions = {
  /** Sends at most 500; may be called again with the same ones. */
  report: (offences: readonly Offence[]) => Promise<OffenceBatchResponse>
  record: RecordEvent
  /** Whether this kind is limited and this address may be blocked: otherwise it is not reported. */
  counts: (kind: OffenceKind, address: string) => boolean
  now?: () => number
}

const batchSize = 500
const firstPauseMs = 15
const pauseMs = 250
const pauses = { firstMs: 200, longestMs: 5_000 }
const maxWaiting = 50_000
const graceMs = 2_000
/** Offences within this time are one entry: the precision of reports that come late. */
const togetherMs = 10_000

export class Offences {
  readonly #options: OffencesOptions
  readonly #boot = randomBytes(5).toString('hex')
  #serial = 0
  #waiting = new Map<string, Offence>()
  /** Sent again until the API has taken or refused it. */
  #batch: Offence[] | undefined
  #timer: NodeJS.Timeout | undefined
  readonly #shipper: Shipper<Offence[]>
  #closed = false

  constructor(options: OffencesOptions) {
    this.#options = options
    this.#shipper = new Shipper({
      next: () => this.#next(),
      send: (batch) => this.#send(batch),
      refused: () => {
        this.#batch = undefined
      },
      // Under attack one full batch follows the other.
      restMs: () => (this.#waiting.size >= batchSize ? 0 : pauseMs),
      pauses,
    })
  }

  /** Entries that wait to be sent. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** `evidence`: one short sentence, without a secret. */
  note(kind: OffenceKind, address: string, evidence: string): void {
    if (this.#closed || !this.#options.counts(kind, address)) return
    const now = this.#now()
    const key = `${kind} ${address} ${Math.floor(now / togetherMs)}`
    const at = new Date(now).toISOString()
    const known = this.#waiting.get(key)
    if (known) {
      known.count++
      known.at = at
      if (known.evidence.length < maxSentences) known.evidence.push(cut(evidence, 300))
    } else {
      if (this.#waiting.size >= maxWaiting) this.#forgetOldest()
      const id = `${this.#boot}-${(this.#serial++).toString(36)}`
      this.#waiting.set(key, { id, kind, address, count: 1, at, evidence: [cut(evidence, 300)] })
    }
    this.#soon()
  }

  #now(): number {
    return this.#options.now?.() ?? Date.now()
  }

  #forgetOldest(): void {
    for (const key of this.#waiting.keys()) {
      this.#waiting.delete(key)
      return
    }
  }

  #soon(): void {
    if (this.#timer || this.#closed) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#shipper.wake()
    }, firstPauseMs)
    this.#timer.unref()
  }

  #next(): Offence[] | undefined {
    if (this.#batch) return this.#batch
    const batch: Offence[] = []
    for (const [key, offence] of this.#waiting) {
      batch.push(offence)
      this.#waiting.delete(key)
      if (batch.length === batchSize) break
    }
    if (batch.length === 0) return undefined
    this.#batch = batch
    return batch
  }

  async #send(batch: Offence[]): Promise<void> {
    this.#tell(await this.#options.report(batch))
    this.#batch = undefined
  }

  #tell({ blocked }: OffenceBatchResponse): void {
    for (const { address, kind, reason, expiresAt } of blocked)
      this.#options.record('address.blocked', { address, kind, reason, expiresAt })
  }

  /** Notes nothing more, and sends what waits, for at most two seconds. Never rejects. */
  async close(): Promise<void> {
    clearTimeout(this.#timer)
    this.#closed = true
    await this.#shipper.close(graceMs)
  }
}
