import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import type Database from 'better-sqlite3'
import { active, deferred, held } from '../message/message.ts'
import { type ClockReading, resumeClock } from '../message/queue-clock.ts'
import { damagedMarkerPath, type IndexFiles, isDamage, openDatabase } from './index-file.ts'
import { adopt, finishRebuild, type Rebuilt, type Scanned } from './rebuild.ts'
import type { Commit, Counts, MessageRow, Opened, OrderEffect, Rebuild, RecipientRow } from './rows.ts'
import { attachSidecar } from './sidecar.ts'
import { compareWithSidecar, ForeignIndex } from './sidecar-check.ts'
import { prepare } from './statements.ts'
import { StoredClock } from './stored-clock.ts'

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

type MessageRecord = Omit<MessageRow, 'recipients' | 'waitsSince' | 'warned' | 'overlay'> & {
  received_at: number
  warned: number
}

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

  private constructor(path: string, db: Database.Database) {
    this.#path = path
    this.#db = db
    this.#statements = prepare(db)
    this.#clock = new StoredClock(db)
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
      const database = new IndexDatabase(files.path, db)
      const rebuild = compareWithSidecar(db, state, { replaces, hasMail: files.hasMail })
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
    })
    return { added }
  }

  /** The last segment has been read: `cursors` are where the scan ended. */
  finishRebuild(given: { cursors: [writer: string, cursor: string][]; keepMissing: boolean }): Rebuilt {
    let rebuilt: Rebuilt = { missing: 0 }
    this.#transact(() => {
      rebuilt = finishRebuild(this.#db, given, this.#seen)
    })
    this.#seen.clear()
    this.#recount()
    return rebuilt
  }

  get counts(): Counts {
    return this.#counts
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
      for (const message of commit.insert) if (!this.#insert(message)) known.push(message.n)
      for (const row of commit.update) this.#update(row)
      for (const { n, r } of commit.remove) this.#remove(n, r)
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
          this.#statements.changed.run()
          this.#statements.sidecarChanged.run()
        })
        .immediate()
    } catch (error) {
      if (isDamage(error)) writeFileSync(damagedMarkerPath(this.#path), String(error))
      else this.#recount()
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
    this.#counts.messages++
    this.#wait(segment, 1, bytes)
    return true
  }

  #update({ n, r, state, tries, nextAt, cause }: Commit['update'][number]): void {
    if (this.#statements.update.run(state, tries, nextAt, cause, n, r).changes === 0) return
    this.#counts.recipients[active]--
    this.#counts.recipients[state]++
  }

  #remove(n: number, r: number[]): void {
    for (const each of r) this.#counts.recipients[active] -= this.#statements.remove.run(n, each).changes
    const gone = this.#statements.removeMessage.get(n, n) as { segment: string; bytes: number } | undefined
    if (!gone) return
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

  /** Domains after `after` with deferred mail, and when the first of it is due; one seek for each, however much waits. */
  domains({ after, limit }: { after: string; limit: number }): [domain: string, dueAt: number][] {
    const found: [string, number][] = []
    let at = after
    while (found.length < limit) {
      const next = this.#statements.nextDomain.raw().get(at) as [string, number] | undefined
      if (!next) break
      found.push(next)
      at = next[0]
    }
    return found
  }

  /**
   * Takes due mail into work: about so many recipients of each domain, and about `limit` in all, a message never in part.
   * They are active when this returns. `stoppedAt`: the first domain that was not asked, because that was enough.
   */
  load({ now, quotas, limit }: { now: number; quotas: [domain: string, max: number][]; limit: number }): Loaded {
    const taken = new Map<number, MessageRow>()
    let left = limit
    let stoppedAt: string | undefined
    this.#transact(() => {
      for (const [domain, max] of quotas) {
        if (left <= 0) {
          stoppedAt = domain
          break
        }
        for (const row of this.#statements.due.all(domain, now, max) as DueRow[]) {
          if (left <= 0) break
          if (taken.has(row.n)) continue
          // What one attempt deferred together is one attempt again, however many recipients that are.
          const rows = this.#statements.dueOfMessage.all(row.n, now) as DueRow[]
          for (const each of rows) this.#activate(each, taken)
          left -= rows.length
        }
      }
    })
    return { rows: [...taken.values()], ...(stoppedAt ? { stoppedAt } : {}) }
  }

  /** Where a message lies of which something waits. */
  locate(id: string): { location: string; bytes: number } | undefined {
    return this.#statements.locate.get(id) as { location: string; bytes: number } | undefined
  }

  /** The same for all that waits of these messages, whatever its state or time. */
  take(ids: string[]): MessageRow[] {
    const taken = new Map<number, MessageRow>()
    this.#transact(() => {
      for (const id of ids) {
        for (const row of this.#statements.ofMessage.all(id) as DueRow[]) this.#activate(row, taken)
      }
    })
    return [...taken.values()]
  }

  #activate({ n, r, domain, state, tries, next_at, cause }: DueRow, taken: Map<number, MessageRow>): void {
    this.#statements.activate.run(n, r)
    this.#counts.recipients[state]--
    this.#counts.recipients[active]++
    let message = taken.get(n)
    if (!message) {
      const { received_at: waitsSince, warned, ...rest } = this.#statements.message.get(n) as MessageRecord
      const headerEdits = (this.#statements.overlayOf.pluck().get(n) as string | undefined) ?? ''
      message = { ...rest, waitsSince, warned: warned === 1, headerEdits, recipients: [] }
      taken.set(n, message)
    }
    const row: RecipientRow = { r, domain, state: active, tries, nextAt: next_at, cause }
    message.recipients.push(row)
  }

  /** Carries out an order on what waits in the table, active rows excepted. Answers the ids of messages it matched. */
  order({ action, ids, at, by, rerouted }: OrderEffect): string[] {
    const matched: string[] = []
    this.#transact(() => {
      for (const id of ids) {
        const n = this.#statements.numberOf.pluck().get(id) as number | undefined
        if (n === undefined) continue
        matched.push(id)
        if (action === 'hold') this.#move(n, [deferred], held, 0, by)
        if (action === 'release') this.#move(n, [held], deferred, at, '')
        if (action === 'retry' || action === 'reroute') this.#move(n, [deferred], deferred, at, undefined)
        if (action === 'reroute') this.#statements.reroute.run(rerouted, n)
      }
    })
    return matched
  }

  #move(n: number, from: (1 | 2)[], to: 1 | 2, at: number, cause: string | undefined): void {
    for (const state of from) {
      const { changes } = this.#statements.move.run(to, at, cause ?? null, n, state)
      this.#counts.recipients[state] -= changes
      this.#counts.recipients[to] += changes
    }
  }

  /** Makes everything deferred due, or what waits for one domain, a few thousand rows a call; answers how many it moved: call until it is none. */
  hasten({ at, limit, domain: only }: { at: number; limit: number; domain?: string | undefined }): number {
    let moved = 0
    this.#transact(() => {
      if (only !== undefined) moved = this.#statements.hasten.run(at, only, at, limit).changes
      if (only !== undefined) return
      let domain = ''
      while (moved < limit) {
        const last = this.#statements.latest.get(domain) as { domain: string; next_at: number } | undefined
        if (!last) break
        domain = last.domain
        moved += this.#statements.hasten.run(at, domain, at, limit - moved).changes
      }
    })
    return moved
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

type Loaded = { rows: MessageRow[]; stoppedAt?: string }
type DueRow = { n: number; r: number; domain: string; state: 0 | 1 | 2; tries: number; next_at: number; cause: string }
