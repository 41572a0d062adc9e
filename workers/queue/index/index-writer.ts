import { editsText } from '../message/header-edits.ts'
import {
  active,
  type Batch,
  domainOf,
  maxBatchAgeMs,
  type PendingRecipient,
  type QueuedMessage,
} from '../message/message.ts'
import { summaryOf } from '../message/summary.ts'
import { addCounts, type Counted, type FinalOutcome, nothingCounted } from './counts.ts'
import type { Index } from './index-thread.ts'
import type { Commit, MessageRow } from './rows.ts'

/**
 * Writes outcomes to the index: many messages per transaction, one transaction at a time.
 *
 * Order of things: an event is on disk before the outcome it tells is in the index. So after a crash an outcome may be
 * told twice (storage counts a recipient's first outcome), but never be missing. "Before" an attempt is recorded too: new
 * mail lies behind its writer's cursor, loaded mail is `active`; either is tried again when the process dies.
 */
export type IndexWriterOptions = {
  index: Index
  /** Events recorded so far survive the process when it resolves. */
  flushEvents(): Promise<void>
  /** A mail has its rows now, and of what it had open only what is being worked on is left. */
  recorded(mail: QueuedMessage): void
  /** The index cannot be written (disk full …): called once per run of failures; `undefined`: it works again. */
  trouble(error: Error | undefined): void
  /** The index is damaged or gone: only a new process helps, which rebuilds it. */
  fatal(error: Error): void
}

/** What to do with one recipient of an active message: it has a final outcome and is removed, or it waits. */
export type Change = { r: number; to: FinalOutcome | PendingRecipient }

/** Milliseconds in which changes gather for a transaction. */
const pauseBetween = 50
/** Milliseconds between notes of what is finished: as much as was delivered in it is delivered again after a crash. */
const noteEvery = 100

export class IndexWriter {
  readonly #options: IndexWriterOptions
  #batches = new Map<string, Batch[]>()
  #next = emptyCommit()
  #dirty = false
  #running: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #all = false
  /** Cursors that are durable, by writer. */
  readonly cursors: Map<string, string>
  /** Messages and recipients in memory without a row. */
  unrecorded = { messages: 0, recipients: 0 }

  constructor(options: IndexWriterOptions) {
    this.#options = options
    this.cursors = new Map(options.index.opened.cursors)
  }

  /** After a rebuild, before anything is taken over. */
  goOnFrom(cursors: ReadonlyMap<string, string>): void {
    this.cursors.clear()
    for (const [writer, cursor] of cursors) this.cursors.set(writer, cursor)
  }

  /** Takes a batch over; its writer's batches come in order. */
  take(batch: Batch): void {
    const batches = this.#batches.get(batch.writer)
    if (batches) batches.push(batch)
    else this.#batches.set(batch.writer, [batch])
    this.unrecorded.messages += batch.messages.length
    for (const mail of batch.messages) this.unrecorded.recipients += mail.pending.size
    this.#wake(batch.busy === 0)
  }

  settle(mail: QueuedMessage, changes: readonly Change[]): void {
    if (mail.recorded) this.#settleRecorded(mail, changes)
    else this.#settleUnrecorded(mail, changes)
  }

  #settleUnrecorded(mail: QueuedMessage, changes: readonly Change[]): void {
    const batch = mail.batch as Batch
    let isSettled = false
    for (const { r, to } of changes) {
      const was = mail.pending.get(r)
      if (!was) continue
      isSettled = true
      if (was.state === active) batch.busy--
      if (typeof to === 'string') {
        mail.pending.delete(r)
        mail[to]++
        this.unrecorded.recipients--
      } else mail.pending.set(r, to)
    }
    // What settles nothing ends nothing: the message has ended before.
    if (isSettled && mail.pending.size === 0) {
      this.unrecorded.messages--
      batch.finished.push(mail.envelope.id)
      countFinals(batch.counts, mail)
    }
    this.#wake(batch.busy === 0)
  }

  #settleRecorded(mail: QueuedMessage, changes: readonly Change[]): void {
    for (const { r, to } of changes) {
      if (!mail.pending.delete(r)) continue
      if (typeof to !== 'string') this.#next.update.push({ n: mail.n, r, ...to })
      else {
        const last = this.#next.remove.at(-1)
        if (last?.n === mail.n && last.outcome === to) last.r.push(r)
        else this.#next.remove.push({ n: mail.n, r: [r], outcome: to })
      }
    }
    this.#dirty = true
    this.#wake(true)
  }

  /** Anything else for the next transaction. */
  add(part: Partial<Pick<Commit, 'update' | 'relocate' | 'warned' | 'overlay' | 'orders' | 'clock'>>): void {
    this.#next.update.push(...(part.update ?? []))
    this.#next.relocate.push(...(part.relocate ?? []))
    this.#next.warned.push(...(part.warned ?? []))
    this.#next.overlay.push(...(part.overlay ?? []))
    this.#next.orders.push(...(part.orders ?? []))
    if (part.clock) this.#next.clock = part.clock
    this.#dirty = true
    this.#wake(true)
  }

  /** Resolves when everything up to now is in the index, also what has not finished. */
  async flush(): Promise<void> {
    while (this.#running) await this.#running
    this.#all = true
    await this.#run()
  }

  #wake(ready: boolean): void {
    if (this.#running) return
    if (ready) {
      clearTimeout(this.#timer)
      this.#running = this.#afterPause()
    } else this.#timer ??= setTimeout(() => this.#wake(true), noteEvery)
  }

  async #afterPause(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, pauseBetween))
    this.#running = undefined
    await this.#run()
  }

  #run(): Promise<void> {
    this.#timer = undefined
    this.#running ??= this.#commit().finally(() => {
      this.#running = undefined
      if (this.#dirty || this.#ready()) this.#wake(true)
      else if (this.#batches.size > 0) this.#wake(false)
    })
    return this.#running
  }

  #ready(): boolean {
    for (const [first] of this.#batches.values()) if (first && isComplete(first)) return true
    return false
  }

  async #commit(): Promise<void> {
    const commit = this.#collect()
    if (!commit) return
    for (let failures = 0; ; failures++) {
      try {
        await this.#options.flushEvents()
        await this.#options.index.ask('commit', commit)
        for (const [writer, cursor] of commit.cursors) this.cursors.set(writer, cursor)
        if (failures > 0) this.#options.trouble(undefined)
        return
      } catch (error) {
        // Nothing later may overtake it, so it is tried until it works; mail goes on being delivered meanwhile.
        if (failures === 0) this.#options.trouble(error as Error)
        if (isFatal(error)) {
          this.#options.fatal(error as Error)
          return
        }
        await new Promise((resolve) => setTimeout(resolve, 1000))
      }
    }
  }

  #collect(): Commit | undefined {
    const commit = this.#next
    this.#next = emptyCommit()
    for (const [writer, batches] of this.#batches) {
      let last: Batch | undefined
      const noted: string[] = []
      while (batches[0] && (this.#all || isComplete(batches[0]))) {
        last = batches.shift() as Batch
        addCounts(commit.counts, last.counts)
        for (const mail of last.messages) this.#record(mail, commit)
        if (last.noted > 0) noted.push(last.cursor)
      }
      if (last) commit.cursors.push([writer, last.cursor, noted])
      if (batches.length === 0) this.#batches.delete(writer)
      for (const batch of batches) noteFinished(batch, commit)
    }
    const any = this.#dirty || commit.cursors.length > 0 || commit.finished.length > 0
    this.#dirty = false
    this.#all = false
    return any ? commit : undefined
  }

  /** From here on its changes go to its rows: the thread sees this transaction before any later one. */
  #record(mail: QueuedMessage, commit: Commit): void {
    mail.batch = undefined
    mail.recorded = true
    if (mail.pending.size === 0) return
    countFinals(commit.counts, mail)
    this.unrecorded.messages--
    this.unrecorded.recipients -= mail.pending.size
    commit.insert.push(rowOf(mail))
    for (const [r, { state }] of mail.pending) if (state !== active) mail.pending.delete(r)
    this.#options.recorded(mail)
  }
}

/** A message, and those of its recipients that got their outcome without a row. */
function countFinals(counts: Counted, { delivered, bounced, discarded }: QueuedMessage): void {
  counts.messages++
  counts.received += delivered + bounced + discarded
  counts.delivered += delivered
  counts.bounced += bounced
  counts.discarded += discarded
}

function noteFinished(batch: Batch, commit: Commit): void {
  if (batch.noted === batch.finished.length) return
  batch.noted = batch.finished.length
  addCounts(commit.counts, batch.counts)
  batch.counts = nothingCounted()
  commit.finished.push({ writer: batch.writer, cursor: batch.cursor, ids: [...batch.finished] })
}

function isComplete(batch: Batch): boolean {
  return batch.busy === 0 || performance.now() - batch.takenAt >= maxBatchAgeMs
}

function isFatal(error: unknown): boolean {
  const { code } = error as { code?: string }
  // A disk that refuses may take it later.
  if (code && /^E[A-Z]+$/.test(code)) return false
  return !code || /^SQLITE_(CORRUPT|NOTADB|IOERR)/.test(code)
}

export function rowOf({
  n,
  envelope,
  location,
  segment,
  bytes,
  rerouted,
  warned,
  headerEdits,
  waitsSince,
  pending,
}: QueuedMessage): MessageRow {
  const recipients = [...pending].map(([r, waiting]) => {
    const address = envelope.recipients[r]?.address ?? ''
    return { r, domain: domainOf(address), ...waiting }
  })
  return {
    n,
    id: envelope.id,
    location,
    segment,
    bytes,
    waitsSince,
    rerouted: rerouted ? `${rerouted.host}:${rerouted.port}` : '',
    warned,
    headerEdits: headerEdits ? editsText(headerEdits) : '',
    summary: JSON.stringify(summaryOf(envelope)),
    recipients,
  }
}

function emptyCommit(): Commit {
  return {
    finished: [],
    cursors: [],
    insert: [],
    update: [],
    remove: [],
    counts: nothingCounted(),
    relocate: [],
    warned: [],
    overlay: [],
    orders: [],
  }
}
