import { setTimeout as sleep } from 'node:timers/promises'
import type { Envelope } from '@postern/contract/envelope.ts'
import type { RecordEvent } from '@postern/runtime/worker.ts'
import type {
  Arrival,
  Cursor,
  Damage,
  Location,
  Segment,
  Batch as SpoolBatch,
  SpoolReader,
} from '@postern/spool/spool.ts'
import { nothingCounted } from '../index/counts.ts'
import type { Index } from '../index/index-thread.ts'
import { type IndexWriter, rowOf } from '../index/index-writer.ts'
import type { ActiveMessages } from '../message/active-messages.ts'
import type { Batch, QueuedMessage } from '../message/message.ts'
import { active, deferred, held, type RecipientState } from '../message/message.ts'
import type { QueueClock } from '../message/queue-clock.ts'
import { reasonText } from '../message/waiting-reason.ts'
import type { Scheduler } from './scheduler.ts'

/** Takes over what the spool's writers made durable. */
export type SpoolFollowerOptions = {
  reader: SpoolReader
  indexWriter: IndexWriter
  scheduler: Scheduler
  clock: QueueClock
  activeMessages: ActiveMessages
  record: RecordEvent
  finished: readonly string[]
  /** A message whose body is lost although its envelope is known: it goes back to its sender. */
  lost(mail: QueuedMessage, damage: Damage): void
}

/** Milliseconds between two reads of the spool: a read costs the same for one message and for fifty. */
const batchDelayMs = 5
/** Jobs in memory that keep all deliveries busy. */
const enoughJobs = 2000
/** Recipients without a row in the index; above this, taking over waits for the index writer. */
const maxUnrecorded = 40_000

export class SpoolFollower {
  readonly #options: SpoolFollowerOptions
  readonly #stop = new AbortController()
  #following: Promise<void> | undefined
  /** Daily reports that were met: one a day. */
  readonly reports = new Set<string>()
  /** Finished before a crash, and met again behind the cursor: passed over. */
  readonly #finished: Set<string>

  constructor(options: SpoolFollowerOptions) {
    this.#options = options
    this.#finished = new Set(options.finished)
  }

  /**
   * `cautious`: for the first seconds after a crash rows come before attempts, so that a message that kills the process
   * is found out. Failures of the spool are tried again for ever; `trouble` hears of each run of them.
   */
  start({ cautious, trouble }: { cautious: boolean; trouble(error: Error | undefined): void }): void {
    this.#following = this.#run(cautious ? performance.now() + 3000 : 0, trouble)
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#following
  }

  async #run(cautiousUntil: number, trouble: (error: Error | undefined) => void): Promise<void> {
    const { signal } = this.#stop
    let failing = false
    // How far this process has read; the index writer's cursors follow as batches are recorded.
    const after = new Map(this.#options.indexWriter.cursors) as Map<string, Cursor>
    while (!signal.aborted) {
      try {
        for await (const batch of this.#options.reader.follow({ after, signal })) {
          if (failing) trouble(undefined)
          failing = false
          await this.#takeOver(batch, performance.now() < cautiousUntil)
          after.set(batch.writer, batch.cursor)
          await sleep(batchDelayMs)
        }
      } catch (error) {
        if (!failing) trouble(error as Error)
        failing = true
        await sleep(1000, undefined, { signal }).catch(() => {})
      }
    }
  }

  /** Brings the index together with everything there is. Nothing is delivered meanwhile, and no segment is given back. */
  async rebuild(index: Index, { keepMissing }: { keepMissing: boolean }): Promise<{ added: number; missing: number }> {
    const { reader, indexWriter } = this.#options
    const cursors = new Map<string, string>()
    let added = 0
    for await (const batch of reader.scan(indexWriter.cursors as Map<string, Cursor>)) {
      const scanned = batch.arrivals.map((arrival, i) => {
        const passed = batch.passed[i] === true || this.#finished.has(arrival.envelope.id)
        const mail = passed ? this.#waiting(arrival, deferred) : this.#mailFor(arrival, true)
        return { message: rowOf(mail), passed }
      })
      for (const damage of batch.damages) {
        const [lost] = this.#damaged(damage)
        if (lost) scanned.push({ message: rowOf(lost.mail), passed: false })
      }
      if (scanned.length > 0) added += (await index.ask('adopt', scanned)).added
      cursors.set(batch.writer, batch.cursor)
    }
    const { missing } = await index.ask('finishRebuild', { cursors: [...cursors], keepMissing })
    indexWriter.goOnFrom(cursors)
    this.#finished.clear()
    return { added, missing }
  }

  async #takeOver({ writer, arrivals, damages, cursor }: SpoolBatch, cautious: boolean): Promise<void> {
    const { indexWriter, activeMessages, scheduler } = this.#options
    const arrived =
      this.#finished.size > 0 ? arrivals.filter(({ envelope }) => !this.#finished.delete(envelope.id)) : arrivals
    const arriving = arrived.map((arrival) => this.#mailFor(arrival, cautious))
    const lost = damages.flatMap((damage) => this.#damaged(damage))
    const messages = [...arriving, ...lost.map(({ mail }) => mail)]
    const batch: Batch = {
      writer,
      cursor,
      takenAt: performance.now(),
      messages,
      busy: 0,
      finished: [],
      noted: 0,
      counts: nothingCounted(),
    }
    for (const mail of messages) {
      mail.batch = batch
      for (const { state } of mail.pending.values()) if (state === active) batch.busy++
      activeMessages.add(mail)
    }
    indexWriter.take(batch)
    for (const { mail, damage } of lost) this.#options.lost(mail, damage)
    if (!cautious) {
      for (const mail of arriving) this.#schedule(mail, scheduler, indexWriter)
    }
    while (indexWriter.unrecorded.recipients > maxUnrecorded) await indexWriter.flush()
    await this.#pace()
  }

  /**
   * When everything flows but slower than it comes, waiting costs less than rows: the spool has the mail. As soon as what
   * is in memory would take longer than a second or two, mail for one domain may block mail for another, and taking over
   * goes on: what is too much then gets rows.
   */
  async #pace(): Promise<void> {
    const { scheduler } = this.#options
    while (scheduler.jobs > enoughJobs && scheduler.jobsNotProbing > enoughJobs && !this.#stop.signal.aborted) {
      const before = scheduler.done
      await sleep(50)
      if ((scheduler.done - before) * 30 < scheduler.jobsNotProbing) return
    }
  }

  #schedule(mail: QueuedMessage, scheduler: Scheduler, indexWriter: IndexWriter): void {
    const recipients = [...mail.pending].filter(([, { state }]) => state === active).map(([r]) => r)
    if (recipients.length === 0) return
    const noRoom = scheduler.add(mail, recipients)
    if (noRoom.length === 0) return
    const waiting = { state: deferred, tries: 0, nextAt: this.#options.clock.now(), cause: '' } as const
    indexWriter.settle(
      mail,
      noRoom.map((r) => ({ r, to: waiting })),
    )
  }

  #mailFor(arrival: Arrival, waits: boolean): QueuedMessage {
    const { envelope, size } = arrival
    // What the Queue Manager itself wrote is accepted here, where it cannot be forgotten: after a crash it is read again.
    if (envelope.origin === 'dsn' || envelope.origin === 'report') this.#accepted(envelope, size)
    if (envelope.origin === 'report') this.reports.add(envelope.id)
    const state: RecipientState = envelope.hold !== undefined ? held : waits ? deferred : active
    return this.#waiting(arrival, state)
  }

  #waiting({ envelope, location, segment, size }: Arrival, state: RecipientState): QueuedMessage {
    return this.#make({ envelope, location, segment, bytes: size, state })
  }

  #make(given: {
    envelope: Envelope
    location: Location
    segment: Segment
    bytes: number
    state: RecipientState
  }): QueuedMessage {
    const { envelope, location, segment, bytes, state } = given
    const pending: QueuedMessage['pending'] = new Map()
    const cause = reasonText({ holder: envelope.hold ?? '' })
    for (let r = 0; r < envelope.recipients.length; r++) pending.set(r, { state, tries: 0, nextAt: 0, cause })
    return {
      n: this.#options.activeMessages.nextNumber(),
      envelope,
      location,
      segment,
      bytes,
      waitsSince: this.#options.clock.waitedAt(envelope.receivedAt),
      headerEdits: undefined,
      signature: undefined,
      recorded: false,
      batch: undefined,
      rerouted: undefined,
      warned: false,
      pending,
      delivered: 0,
      bounced: 0,
      discarded: 0,
      ordered: undefined,
      orderedBy: '',
    }
  }

  #accepted(envelope: Envelope, size: number): void {
    const recipients = envelope.recipients.map(({ address, original }) => ({ address, original }))
    const { id: messageId, origin, sender, revision } = envelope
    this.#options.record('message.accepted', { messageId, origin, sender, recipients, size, revision, rules: [] })
  }

  #damaged(damage: Damage): { mail: QueuedMessage; damage: Damage }[] {
    const { segment, offset, bytes, reason, envelope, location = '' as Location } = damage
    this.#options.record('message.damaged', {
      ...(envelope ? { messageId: envelope.id } : {}),
      where: `segment ${segment} at ${offset}`,
      detail: `${reason}: ${bytes} bytes were skipped`,
    })
    if (!envelope) return []
    return [{ mail: this.#make({ envelope, location, segment, bytes: 0, state: active }), damage }]
  }
}
