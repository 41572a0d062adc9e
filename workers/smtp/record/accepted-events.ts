import { readFile } from 'node:fs/promises'
import { replaceWith } from '@postern/runtime/disk.ts'
import type { Worker } from '@postern/runtime/worker.ts'
import type { Cursor, SpoolReader, SpoolWriter } from '@postern/spool/spool.ts'
import type { Counters } from './counters.ts'
import { acceptedRecord } from './event-fields.ts'

/**
 * Makes sure that every message in the spool has its `message.accepted`, even when the process was killed between the two. At
 * start the messages after a saved position of the spool are compared with the events on disk, and missing events are recorded.
 * The position moves only after the events before it are on stable storage, so none is missed; an event that is recorded twice
 * is counted once, by its message id.
 *
 * With the position it keeps how many messages and recipients were made durable up to there, so that the count is exact
 * whatever becomes of the events: the receivers' own witness beside the books.
 */
export type AcceptedEventsOptions = {
  worker: Pick<Worker, 'id' | 'record' | 'syncEvents' | 'wasAccepted'>
  spool: Pick<SpoolWriter, 'cursor'>
  reader: Pick<SpoolReader, 'follow'>
  /** Where the position is saved. */
  file: string
  trouble: (error: unknown) => void
}

type AcceptedCounters = Pick<Counters, 'messages_accepted_total' | 'recipients_accepted_total'>

const recordedLate = 'recorded again from the spool after a crash'
/** How much traffic is read again at most after a crash. */
const saveEveryMs = 1_000
/** Longer than reading a second of traffic ever takes; past it the disk does not answer. */
const readTimeoutMs = 15_000

export class AcceptedEvents {
  readonly #options: AcceptedEventsOptions
  #saved: Cursor | undefined
  #timer: NodeJS.Timeout | undefined
  #saving: Promise<void> | undefined
  #failing = false
  /** Counted before this process, and by receivers of this process that are gone. */
  #before = { messages: 0, recipients: 0 }
  #counters: AcceptedCounters | undefined

  private constructor(parts: AcceptedEventsOptions) {
    this.#options = parts
  }

  /** To be called after the spool's writer was opened and before anything is written to it. Never rejects. */
  static async open(parts: AcceptedEventsOptions): Promise<AcceptedEvents> {
    const events = new AcceptedEvents(parts)
    const before = await readFile(parts.file, 'utf8').catch(() => undefined)
    const [cursor = '', messages = 0, recipients = 0] = before?.trim().split(' ') ?? []
    events.#before = { messages: Number(messages), recipients: Number(recipients) }
    // A worker without a saved position has taken no message in this directory: there is nothing to compare.
    if (before !== undefined) await events.#recordMissing(cursor as Cursor).catch(parts.trouble)
    await events.#keepSaved()
    events.#timer = setInterval(() => void events.#keepSaved(), saveEveryMs)
    events.#timer.unref()
    return events
  }

  async #recordMissing(after: Cursor): Promise<void> {
    const { worker, spool, reader } = this.#options
    const end = spool.cursor()
    if (after === end) return
    const timeout = new AbortController()
    const timer = setTimeout(() => timeout.abort(), readTimeoutMs)
    const { signal } = timeout
    try {
      const follow = reader.follow({ after: new Map([[worker.id, after]]), writers: [worker.id], signal })
      for await (const { arrivals, cursor } of follow) {
        for (const { envelope, size } of arrivals) {
          this.#before.messages++
          this.#before.recipients += envelope.recipients.length
          if (worker.wasAccepted(envelope.id)) continue
          worker.record('message.accepted', acceptedRecord(envelope, { size, rules: [recordedLate] }))
        }
        // Nothing is written yet, so the reader comes to exactly this position.
        if (cursor === end) return
      }
      throw new Error(
        `the spool was not read to its end within ${readTimeoutMs} ms; messages received just before the crash may be missing in the books`,
      )
    } finally {
      clearTimeout(timer)
    }
  }

  /** Messages and recipients answered with 250 since this worker exists. */
  get counted(): { messages: number; recipients: number } {
    const { messages_accepted_total = 0, recipients_accepted_total = 0 } = this.#counters ?? {}
    return {
      messages: this.#before.messages + messages_accepted_total,
      recipients: this.#before.recipients + recipients_accepted_total,
    }
  }

  /** Goes on with the counters of a new receiver. */
  countFrom(counters: AcceptedCounters): void {
    this.#before = this.counted
    this.#counters = counters
  }

  #keepSaved(): Promise<void> {
    this.#saving ??= this.#save()
      .then(() => {
        this.#failing = false
      })
      .catch((error: unknown) => {
        if (!this.#failing) this.#options.trouble(error)
        this.#failing = true
      })
      .finally(() => {
        this.#saving = undefined
      })
    return this.#saving
  }

  async #save(): Promise<void> {
    const { worker, spool, file } = this.#options
    // Of one moment: what is durable has been counted before a timer runs.
    const cursor = spool.cursor()
    const { messages, recipients } = this.counted
    if (cursor === this.#saved) return
    await worker.syncEvents()
    await replaceWith(file, `${cursor} ${messages} ${recipients}\n`)
    this.#saved = cursor
  }

  /** After the last message, before the spool's writer closes. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#saving
    await this.#keepSaved()
  }
}
