import { readFile } from 'node:fs/promises'
import { replaceWith } from '@postern/runtime/disk.ts'
import type { Worker } from '@postern/runtime/worker.ts'
import type { Cursor, SpoolReader, SpoolWriter } from '@postern/spool/spool.ts'
import { acceptedRecord } from './event-fields.ts'

/**
 * What lies in the spool has its `message.accepted`, whatever killed this process between the two: at start what the
 * spool has behind a remembered place is compared with the events on disk, and what is missing is recorded then.
 * The place is moved only after the events before it are on stable storage, so nothing falls between; what is recorded
 * twice is counted once, by its message id.
 */
export type AcceptedEventsOptions = {
  worker: Pick<Worker, 'id' | 'record' | 'syncEvents' | 'wasAccepted'>
  spool: Pick<SpoolWriter, 'cursor'>
  reader: Pick<SpoolReader, 'follow'>
  /** Where the place is remembered. */
  file: string
  trouble: (error: unknown) => void
}

const recordedLate = 'recorded again from the spool after a crash'
/** How much traffic is read again at most after a crash. */
const rememberEveryMs = 1_000
/** Longer than any second of traffic takes to read; past it the disk does not give what it has. */
const patienceMs = 15_000

export class AcceptedEvents {
  readonly #parts: AcceptedEventsOptions
  #remembered: Cursor | undefined
  #timer: NodeJS.Timeout | undefined
  #saving: Promise<void> | undefined
  #failing = false

  private constructor(parts: AcceptedEventsOptions) {
    this.#parts = parts
  }

  /** To be called after the spool's writer was opened and before anything is written to it. Never rejects. */
  static async open(parts: AcceptedEventsOptions): Promise<AcceptedEvents> {
    const receptions = new AcceptedEvents(parts)
    const before = await readFile(parts.file, 'utf8').catch(() => undefined)
    // A worker that finds no place has never taken a message here, or its directory is new: there is nothing to compare.
    if (before !== undefined) await receptions.#recordMissing(before.trim() as Cursor).catch(parts.trouble)
    await receptions.#remember()
    receptions.#timer = setInterval(() => void receptions.#remember(), rememberEveryMs)
    receptions.#timer.unref()
    return receptions
  }

  async #recordMissing(after: Cursor): Promise<void> {
    const { worker, spool, reader } = this.#parts
    const end = spool.cursor()
    if (after === end) return
    const patience = new AbortController()
    const timer = setTimeout(() => patience.abort(), patienceMs)
    const { signal } = patience
    try {
      const follow = reader.follow({ after: new Map([[worker.id, after]]), writers: [worker.id], signal })
      for await (const { arrivals, cursor } of follow) {
        for (const { envelope, size } of arrivals) {
          if (worker.wasAccepted(envelope.id)) continue
          worker.record('message.accepted', acceptedRecord(envelope, { size, rules: [recordedLate] }))
        }
        // Nobody writes yet, so the reader comes to exactly this place.
        if (cursor === end) return
      }
      throw new Error(
        `the spool was not read to its end within ${patienceMs} ms; messages received just before the crash may be missing in the books`,
      )
    } finally {
      clearTimeout(timer)
    }
  }

  #remember(): Promise<void> {
    this.#saving ??= this.#save()
      .then(() => {
        this.#failing = false
      })
      .catch((error: unknown) => {
        if (!this.#failing) this.#parts.trouble(error)
        this.#failing = true
      })
      .finally(() => {
        this.#saving = undefined
      })
    return this.#saving
  }

  async #save(): Promise<void> {
    const { worker, spool, file } = this.#parts
    const cursor = spool.cursor()
    if (cursor === this.#remembered) return
    await worker.syncEvents()
    await replaceWith(file, `${cursor}\n`)
    this.#remembered = cursor
  }

  /** After the last message, before the spool's writer closes. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#saving
    await this.#remember()
  }
}
