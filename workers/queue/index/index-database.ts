import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { QueueCounts } from '@postern/contract/queue-mirror.ts'
import type Database from 'better-sqlite3'
import { active, deferred, type RecipientState } from '../message/message.ts'
import { type ClockReading, resumeClock } from '../message/queue-clock.ts'
import { CountsTable, nothingCounted } from './counts.ts'
import { DueRows, type Loaded } from './due-rows.ts'
import { damagedMarkerPath, type IndexFiles, isDamage, openDatabase } from './index-file.ts'
import { IndexOrders } from './index-orders.ts'
import { adopt, finishRebuild, type Rebuilt, type Scanned } from './rebuild.ts'
import type { Commit, Counts, MessageRow, Opened, OrderEffect, Rebuild } from './rows.ts'
import { attachSidecar } from './sidecar.ts'
import { compareWithSidecar, ForeignIndex } from './sidecar-check.ts'
import { prepare } from './statements.ts'
import { StoredClock } from './stored-clock.ts'
import { type EverythingPage, Untold, type UntoldPage } from './untold.ts'

/**
 * The Queue Manager's own SQLite file. Runs in a thread of its own, synchronously: nothing else waits for it.
 *
 * Durability: WAL with synchronous=FULL. Commits are few (about fifty a second, however many messages they hold), so the
 * sync costs nothing that is felt, and what the rest relies on becomes simple: a cursor or location that was committed
 * survives a power cut, so a segment may be reclaimed on its word. All of it can be rebuilt from the segments.
 */

/**
 * A row that was in memory at many crashes in a row may be what causes them: from the fifth on it waits 1, 2, 4 … seconds,
 * up to half an hour, so that the others get through. Innocent mail of a machine in trouble loses seconds.
 */
const pauseAfterCrashes = 'CASE WHEN interrupted < 4 THEN 0 ELSE min(1000 << min(interrupted - 4, 11), 1800000) END'

export class IndexDatabase {
  readonly #db: Database.Database
  readonly #path: string
  readonly #statements: ReturnType<typeof prepare>
  readonly #clock: StoredClock
  /** By the queue's clock. */
  #openedAt = 0
  #counts: Counts = { messages: 0, recipients: [0, 0, 0] }
  #waiting = new Map<string, { messages: number; bytes: number }>()

  /** Numbers of messages met while the index is rebuilt. */
  #seen = new Set<number>()
  readonly #counted: CountsTable
  readonly #untold: Untold
  readonly #orders: IndexOrders
  readonly #due: DueRows

  private constructor(path: string, db: Database.Database, counted: CountsTable) {
    this.#path = path
    this.#db = db
    this.#statements = prepare(db)
    this.#clock = new StoredClock(db)
    this.#counted = counted
    const untold = new Untold(db)
    this.#untold = untold
    const moved = (from: RecipientState, to: RecipientState, rows: number) => this.#recountState(from, to, rows)
    this.#orders = new IndexOrders(this.#statements, { moved, changed: (n) => untold.changed(n) })
    this.#due = new DueRows(this.#statements, moved)
  }

  /**
   * Opens or makes the file. One that is damaged, or belongs to other segments, is moved aside, whole, and an empty one
   * takes its place. Throws when another release made it.
   */
  static open(files: IndexFiles): { database: IndexDatabase; opened: Opened } {
    const started = performance.now()
    const { path, now } = files
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    mkdirSync(dirname(files.sidecar), { recursive: true, mode: 0o700 })
    const { database, found } = IndexDatabase.#openOrReplace(files)
    database.#db.prepare('INSERT OR REPLACE INTO used_by VALUES (?, ?)').run(files.release, now)
    return { database, opened: { ...found, tookMs: Math.round(performance.now() - started) } }
  }

  static #openOrReplace(files: IndexFiles): { database: IndexDatabase; found: Omit<Opened, 'tookMs'> } {
    const { path, now } = files
    let rebuild: Rebuild
    try {
      if (existsSync(damagedMarkerPath(path))) throw new Error('found damaged by the process before')
      return IndexDatabase.#openFile(files, undefined)
    } catch (error) {
      if (error instanceof ForeignIndex) rebuild = 'foreign'
      else if (isDamage(error)) rebuild = 'damaged'
      else throw error
    }
    const movedTo = `${path}.${rebuild}-${now}`
    for (const suffix of ['', '-wal', '-shm']) {
      if (existsSync(path + suffix)) renameSync(path + suffix, movedTo + suffix)
    }
    rmSync(damagedMarkerPath(path), { force: true })
    const { database, found } = IndexDatabase.#openFile(files, rebuild)
    return { database, found: { ...found, movedTo: basename(movedTo) } }
  }

  static #openFile(
    files: IndexFiles,
    replaces: Rebuild | undefined,
  ): { database: IndexDatabase; found: Omit<Opened, 'tookMs'> } {
    const db = openDatabase(files.path)
    try {
      const state = attachSidecar(db, files.sidecar, files.now)
      const rebuild = compareWithSidecar(db, state, { replaces, hasMail: files.hasMail })
      const counted = new CountsTable(db, { now: files.now, preferSidecar: rebuild === 'older' })
      const database = new IndexDatabase(files.path, db, counted)
      return { database, found: { ...database.#recover(files.now), ...(rebuild ? { rebuild } : {}) } }
    } catch (error) {
      db.close()
      throw error
    }
  }

  #recover(wall: number): Omit<Opened, 'tookMs'> {
    const db = this.#db
    const clock = resumeClock(this.#clock.read(), wall)
    this.#clock.keep(clock)
    this.#openedAt = clock.now
    const unclean = db.prepare("SELECT value FROM facts WHERE name = 'running'").pluck().get() === 1
    db.prepare("INSERT OR REPLACE INTO facts VALUES ('running', 1)").run()
    const interrupted = db
      .prepare(
        `UPDATE recipients SET state = ${deferred}, interrupted = interrupted + 1, next_at = ? + ${pauseAfterCrashes}
         WHERE state = ${active}`,
      )
      .run(clock.now).changes
    this.#recount()
    this.#transact(() => {
      if (this.#counted.isNew) this.#counted.balance(this.#waitingRecipients())
    })
    // Numbers of messages that never came into the table are lost with the process, and nobody refers to them.
    const lastN = (db.prepare('SELECT max(n) FROM messages').pluck().get() as number | null) ?? 0
    const cursors = db.prepare('SELECT writer, cursor FROM cursors').raw().all() as [string, string][]
    const finished = db.prepare('SELECT ids FROM finished').pluck().all() as string[]
    return {
      clock,
      cursors,
      finished: finished.flatMap((ids) => ids.split(' ')),
      counts: this.#counts,
      lastN,
      interrupted,
      unclean,
    }
  }

  /** Takes what the segments have while the index is rebuilt: what is known already keeps its state, and gets its place. */
  adopt(scanned: Scanned): { added: number } {
    let added = 0
    this.#transact(() => {
      added = adopt(this.#db, scanned, { now: this.#openedAt, seen: this.#seen, insert: (row) => this.#insert(row) })
      this.#counted.add({ ...nothingCounted(), messages: added })
    })
    return { added }
  }

  /** The last segment has been read: `cursors` are where the scan ended. */
  finishRebuild(given: { cursors: [writer: string, cursor: string][]; keepMissing: boolean }): Rebuilt {
    let rebuilt: Rebuilt = { missing: 0 }
    this.#transact(() => {
      rebuilt = finishRebuild(this.#db, given, this.#seen)
      this.#recount()
      this.#counted.balance(this.#waitingRecipients())
      this.#untold.forgetTold()
    })
    this.#seen.clear()
    return rebuilt
  }

  get counts(): Counts {
    return this.#counts
  }

  #waitingRecipients(): number {
    const [active, deferred, held] = this.#counts.recipients
    return active + deferred + held
  }

  #recount(): void {
    const recipients: Counts['recipients'] = [0, 0, 0]
    const states = this.#db.prepare('SELECT state, count(*) FROM recipients GROUP BY state').raw().all()
    for (const [state, count] of states as [number, number][]) recipients[state] = count
    let messages = 0
    this.#waiting.clear()
    const segments = this.#db.prepare('SELECT segment, count(*), sum(octets) FROM messages GROUP BY segment').raw()
    for (const [segment, count, bytes] of segments.all() as [string, number, number][]) {
      this.#waiting.set(segment, { messages: count, bytes })
      messages += count
    }
    this.#counts = { messages, recipients }
  }

  /** All of it or nothing. A message whose id is known already is not inserted; the answer names those numbers. */
  commit(commit: Commit): { known: number[] } {
    const known: number[] = []
    this.#transact(() => {
      this.#counted.add(commit.counts)
      for (const message of commit.insert) if (!this.#insert(message)) known.push(message.n)
      for (const row of commit.update) this.#update(row)
      for (const removed of commit.remove) this.#remove(removed)
      for (const { n, location, segment } of commit.relocate) this.#relocate(n, location, segment)
      for (const { n, overlay } of commit.overlay) this.#statements.overlay.run(overlay, n)
      for (const n of commit.warned) this.#statements.warned.run(n)
      for (const { id, at } of commit.orders) this.#statements.order.run(id, at)
      if (commit.clock) this.#clock.keep(commit.clock)
      for (const { writer, cursor, ids } of commit.finished) this.#statements.finish.run(writer, cursor, ids.join(' '))
      for (const [writer, cursor, batches] of commit.cursors) {
        this.#statements.cursor.run(writer, cursor)
        for (const batch of batches) this.#statements.unfinish.run(writer, batch)
      }
    })
    return { known }
  }

  #transact(work: () => void): void {
    try {
      this.#db
        .transaction(() => {
          work()
          this.#counted.write()
          this.#untold.write()
          this.#statements.changed.run()
          this.#statements.sidecarChanged.run()
        })
        .immediate()
    } catch (error) {
      if (isDamage(error)) writeFileSync(damagedMarkerPath(this.#path), String(error))
      else {
        this.#recount()
        this.#counted.reload()
        this.#untold.reload()
      }
      throw error
    }
  }

  #insert({
    n,
    id,
    location,
    segment,
    bytes,
    waitsSince,
    rerouted,
    warned,
    headerEdits,
    summary,
    recipients,
  }: MessageRow): boolean {
    const { insertMessage, insertRecipient, overlay: insertOverlay } = this.#statements
    if (insertMessage.run(n, id, location, segment, bytes, waitsSince, rerouted, warned ? 1 : 0).changes === 0)
      return false
    for (const { r, domain, state, tries, nextAt, cause } of recipients) {
      insertRecipient.run(n, r, domain, state, tries, nextAt, cause)
      this.#counts.recipients[state]++
    }
    if (headerEdits !== '') insertOverlay.run(headerEdits, n)
    this.#untold.summary(n, summary)
    this.#untold.changed(n)
    this.#counted.add({ ...nothingCounted(), received: recipients.length })
    this.#counts.messages++
    this.#wait(segment, 1, bytes)
    return true
  }

  #update({ n, r, state, tries, nextAt, cause }: Commit['update'][number]): void {
    if (this.#statements.update.run(state, tries, nextAt, cause, n, r).changes === 0) return
    this.#untold.changed(n)
    this.#counts.recipients[active]--
    this.#counts.recipients[state]++
  }

  #remove({ n, r, outcome }: Commit['remove'][number]): void {
    let removed = 0
    for (const each of r) removed += this.#statements.remove.run(n, each).changes
    if (removed === 0) return
    this.#counts.recipients[active] -= removed
    this.#counted.add({ ...nothingCounted(), [outcome]: removed })
    const gone = this.#statements.removeMessage.get(n, n) as { id: string; segment: string; bytes: number } | undefined
    if (!gone) {
      this.#untold.changed(n)
      return
    }
    this.#untold.gone(n, gone.id)
    this.#statements.removeOverlay.run(n)
    this.#counts.messages--
    this.#wait(gone.segment, -1, -gone.bytes)
  }

  #relocate(n: number, location: string, segment: string): void {
    const was = this.#statements.place.get(n) as { segment: string; bytes: number } | undefined
    if (!was) return
    this.#statements.relocate.run(location, segment, n)
    this.#wait(was.segment, -1, -was.bytes)
    this.#wait(segment, 1, was.bytes)
  }

  #wait(segment: string, messages: number, bytes: number): void {
    const was = this.#waiting.get(segment)
    const now = { messages: (was?.messages ?? 0) + messages, bytes: (was?.bytes ?? 0) + bytes }
    if (now.messages > 0) this.#waiting.set(segment, now)
    else this.#waiting.delete(segment)
  }

  domains(given: { after: string; limit: number }): [domain: string, dueAt: number][] {
    return this.#due.domains(given)
  }

  load(given: { now: number; quotas: [domain: string, max: number][]; limit: number }): Loaded {
    let loaded: Loaded = { rows: [] }
    this.#transact(() => {
      loaded = this.#due.load(given)
    })
    return loaded
  }

  /** Where a message lies of which something waits. */
  locate(id: string): { location: string; bytes: number } | undefined {
    return this.#statements.locate.get(id) as { location: string; bytes: number } | undefined
  }

  take(ids: string[]): MessageRow[] {
    let taken: MessageRow[] = []
    this.#transact(() => {
      taken = this.#due.take(ids)
    })
    return taken
  }

  /** Carries out an order on what waits in the table, active rows excepted. Answers the ids of messages it matched. */
  order(effect: OrderEffect): string[] {
    let matched: string[] = []
    this.#transact(() => {
      matched = this.#orders.carryOut(effect)
    })
    return matched
  }

  #recountState(from: RecipientState, to: RecipientState, rows: number): void {
    this.#counts.recipients[from] -= rows
    this.#counts.recipients[to] += rows
  }

  /** Makes everything deferred due, or what waits for one domain, a few thousand rows a call; answers how many it moved: call until it is none. */
  hasten(given: { at: number; limit: number; domain?: string | undefined }): number {
    let moved = 0
    this.#transact(() => {
      moved = this.#orders.hasten(given)
    })
    return moved
  }

  counted(): QueueCounts {
    return { ...this.#counted.all, waiting: this.#waitingRecipients() }
  }

  /** What the API has not been told; `undefined`: everything has to be. `wallAhead`: of the queue's clock. */
  untold(wallAhead: number): (UntoldPage & { counts: QueueCounts }) | undefined {
    const page = this.#untold.page(wallAhead)
    return page && { ...page, counts: this.counted() }
  }

  everything(given: { after: number; wallAhead: number }): EverythingPage {
    return this.#untold.everything(given)
  }

  /** Of messages that waited before the index kept any. */
  summaries(given: { n: number; summary: string }[]): void {
    this.#db.transaction(() => {
      for (const { n, summary } of given) this.#untold.summary(n, summary)
    })()
  }

  told(position: number): void {
    this.#untold.told(position)
  }

  waiting(): [segment: string, { messages: number; bytes: number }][] {
    return [...this.#waiting]
  }

  /** Messages in these segments of which nothing is being worked on. */
  inSegment({ segment, limit }: { segment: string; limit: number }): { n: number; id: string; location: string }[] {
    return this.#statements.inSegment.all(segment, limit) as { n: number; id: string; location: string }[]
  }

  doneOrders(ids: string[]): string[] {
    return ids.filter((id) => this.#statements.orderDone.get(id) !== undefined)
  }

  close(reading: ClockReading): void {
    this.#clock.keep(reading)
    this.#db.prepare("INSERT OR REPLACE INTO facts VALUES ('running', 0)").run()
    this.#db.close()
  }
}
