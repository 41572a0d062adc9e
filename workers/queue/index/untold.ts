import { type QueuePage, queuePageBytes, type WaitingMessage } from '@postern/contract/queue-mirror.ts'
import { type WaitingCause, waitingCauseOf } from '@postern/contract/waiting-causes.ts'
import type Database from 'better-sqlite3'
import { held, type RecipientState } from '../message/message.ts'
import type { Summary } from '../message/summary.ts'
import { reasonFrom } from '../message/waiting-reason.ts'

/**
 * What the API has not been told yet of the messages in the index. Each change of a message's rows gets the next position;
 * a message has only its last one, and one that goes away leaves its id. What was told is forgotten, so that the list is
 * short while the API answers, and never longer than what waits plus a bound.
 */
export const untoldSchema = `
CREATE TABLE IF NOT EXISTS untold (n INTEGER PRIMARY KEY, position INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS untold_position ON untold (position);
CREATE TABLE IF NOT EXISTS gone (position INTEGER PRIMARY KEY, id TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS summaries (n INTEGER PRIMARY KEY, summary TEXT NOT NULL) STRICT;
`

/** With more messages gone than this while the API is away, everything is told again instead. */
const maxGone = 1_000_000
const rowsAtOnce = 5_000
const recipientsAtOnce = 20_000

/** `-1`: everything has to be told. */
const everything = -1

export type ToldOf = { incarnation: number; position: number }

type Read = {
  page: Pick<QueuePage, 'waiting' | 'gone'>
  /** Messages without a summary, and where they are stored. They are told once they have one. */
  unknown: { n: number; location: string }[]
}

/** Everything since `from`. `caughtUp`: nothing is left after it. */
export type UntoldPage = Read & ToldOf & { from: number; caughtUp: boolean }

/** A part of everything, in order of the messages' numbers. `position`: where to go on with the changes afterwards. */
export type EverythingPage = Read & ToldOf & { after: number; last: boolean }

type MessageRecord = { n: number; id: string; octets: number }
type RecipientRecord = { r: number; state: RecipientState; tries: number; next_at: number; cause: string }

export class Untold {
  readonly #db: Database.Database
  readonly #statements: ReturnType<typeof prepare>
  readonly #incarnation: number
  #position: number
  #stored: number
  #told: number

  constructor(db: Database.Database) {
    this.#db = db
    this.#statements = prepare(db)
    const fact = db.prepare('SELECT value FROM facts WHERE name = ?').pluck()
    this.#incarnation = fact.get('incarnation') as number
    this.#position = (fact.get('mirror.position') as number | undefined) ?? 0
    this.#stored = this.#position
    this.#told = (fact.get('mirror.told') as number | undefined) ?? everything
  }

  /** In the transaction of the change. */
  changed(n: number): void {
    this.#statements.change.run(n, ++this.#position)
  }

  gone(n: number, id: string): void {
    this.#statements.unchange.run(n)
    this.#statements.forgetSummary.run(n)
    this.#statements.gone.run(++this.#position, id)
  }

  summary(n: number, summary: string): void {
    this.#statements.summary.run(summary, n)
  }

  /** At the end of a transaction. */
  write(): void {
    if (this.#position === this.#stored) return
    this.#statements.fact.run('mirror.position', this.#position)
    this.#stored = this.#position
  }

  /** After a transaction that was undone. */
  reload(): void {
    this.#position = this.#stored
  }

  /** Rows came and went that nobody noted. */
  forgetTold(): void {
    this.#db.exec(`DELETE FROM untold; DELETE FROM gone; DELETE FROM facts WHERE name = 'mirror.told';
      DELETE FROM summaries WHERE n NOT IN (SELECT n FROM messages)`)
    this.#told = everything
  }

  /** The API has everything up to `position`. */
  told(position: number): void {
    if (position === this.#told) return
    this.#db.transaction(() => {
      this.#statements.dropUntold.run(position)
      this.#statements.dropGone.run(position)
      this.#statements.fact.run('mirror.told', position)
    })()
    this.#told = position
  }

  /** What was not told; `undefined`: everything has to be. `wallAhead`: by how much the wall clock is ahead of the queue's. */
  page(wallAhead: number): UntoldPage | undefined {
    return this.#reading(() => this.#page(wallAhead))
  }

  /** One transaction for many statements: each would lock the file. */
  #reading<T>(read: () => T): T {
    return this.#db.transaction(read)()
  }

  #page(wallAhead: number): UntoldPage | undefined {
    if (this.#told === everything) return undefined
    if ((this.#statements.countGone.get() as number) > maxGone) {
      this.forgetTold()
      return undefined
    }
    const changed = this.#statements.untold.all(rowsAtOnce) as { n: number; position: number }[]
    const gone = this.#statements.goneFirst.all(rowsAtOnce) as { position: number; id: string }[]
    // As far as both lists were read.
    const read = Math.min(
      changed.length === rowsAtOnce ? (changed.at(-1)?.position ?? 0) : this.#position,
      gone.length === rowsAtOnce ? (gone.at(-1)?.position ?? 0) : this.#position,
    )
    const reader = new PageReader(this.#statements, wallAhead)
    let position = read
    for (const { n, position: at } of changed) {
      if (at > read) break
      if (reader.take(n)) continue
      position = at - 1
      break
    }
    return {
      ...reader.result(gone.filter(({ position: at }) => at <= position).map(({ id }) => id)),
      incarnation: this.#incarnation,
      from: this.#told,
      position,
      caughtUp: position === this.#position && reader.unknown.length === 0,
    }
  }

  /** Messages with higher numbers than `after`. */
  everything(given: { after: number; wallAhead: number }): EverythingPage {
    return this.#reading(() => this.#everything(given))
  }

  #everything({ after, wallAhead }: { after: number; wallAhead: number }): EverythingPage {
    const position = this.#position
    const rows = this.#statements.messagesAfter.pluck().all(after, rowsAtOnce) as number[]
    const reader = new PageReader(this.#statements, wallAhead)
    let last = after
    for (const n of rows) {
      if (!reader.take(n)) break
      last = n
    }
    const isLast = rows.length < rowsAtOnce && (rows.at(-1) ?? after) === last
    return { ...reader.result([]), incarnation: this.#incarnation, position, after: last, last: isLast }
  }
}

/** Collects messages until the page is full. */
class PageReader {
  readonly #statements: ReturnType<typeof prepare>
  readonly #wallAhead: number
  readonly #waiting: WaitingMessage[] = []
  readonly unknown: Read['unknown'] = []
  #bytes = 0
  #recipients = 0
  readonly #causes = new Map<string, WaitingCause>()

  constructor(statements: ReturnType<typeof prepare>, wallAhead: number) {
    this.#statements = statements
    this.#wallAhead = wallAhead
  }

  /** `false`: the page is full without it. */
  take(n: number): boolean {
    if (this.#bytes >= queuePageBytes || this.#recipients >= recipientsAtOnce) return false
    const message = this.#statements.message.get(n) as MessageRecord | undefined
    if (!message) return true
    const text = this.#statements.summaryOf.pluck().get(n) as string | undefined
    if (text === undefined) {
      this.unknown.push({ n, location: this.#statements.locationOf.pluck().get(n) as string })
      return this.unknown.length < 200
    }
    const rows = this.#statements.recipients.all(n) as RecipientRecord[]
    const waiting = this.#view(message, JSON.parse(text) as Summary, rows)
    this.#waiting.push(waiting)
    this.#recipients += rows.length
    this.#bytes += text.length + 120
    for (const { lastReply } of waiting.recipients) this.#bytes += 180 + (lastReply?.length ?? 0)
    return true
  }

  result(gone: string[]): Read {
    return { page: { waiting: this.#waiting, gone }, unknown: this.unknown }
  }

  #view({ id, octets }: MessageRecord, { to, ...about }: Summary, rows: RecipientRecord[]): WaitingMessage {
    let hold: string | undefined
    const longest = rows.length > 100 ? 100 : 500
    const recipients = rows.map(({ r, state, tries, next_at, cause: text }) => {
      const { holder, cause, reply } = reasonFrom(text, state === held)
      if (state === held) hold ??= holder || 'held'
      const [address = '?', original = address] = to[r] ?? []
      return {
        address,
        original,
        attempts: tries,
        ...(reply === '' ? {} : { lastReply: reply.slice(0, longest) }),
        ...(cause === '' ? {} : { cause: cause.slice(0, 100) }),
        ...(tries > 0 ? { waitingCause: this.#waitingCause(cause, reply) } : {}),
        ...(tries > 0 && state !== held ? { nextTryAt: Math.max(0, Math.round(next_at + this.#wallAhead)) } : {}),
      }
    })
    return { id, size: octets, ...about, ...(hold === undefined ? {} : { hold: hold.slice(0, 500) }), recipients }
  }

  /** Many messages wait for the same reason. */
  #waitingCause(cause: string, reply: string): WaitingCause {
    const key = `${cause}\n${reply}`
    let found = this.#causes.get(key)
    if (!found) {
      found = waitingCauseOf({ cause, reply })
      this.#causes.set(key, found)
    }
    return found
  }
}

function prepare(db: Database.Database) {
  return {
    change: db.prepare('INSERT OR REPLACE INTO untold VALUES (?, ?)'),
    unchange: db.prepare('DELETE FROM untold WHERE n = ?'),
    gone: db.prepare('INSERT INTO gone VALUES (?, ?)'),
    countGone: db.prepare('SELECT coalesce(max(rowid) - min(rowid), 0) FROM gone').pluck(),
    summary: db.prepare('INSERT OR REPLACE INTO summaries SELECT n, ? FROM messages WHERE n = ?'),
    forgetSummary: db.prepare('DELETE FROM summaries WHERE n = ?'),
    fact: db.prepare('INSERT OR REPLACE INTO facts VALUES (?, ?)'),
    dropUntold: db.prepare('DELETE FROM untold WHERE position <= ?'),
    dropGone: db.prepare('DELETE FROM gone WHERE position <= ?'),
    untold: db.prepare('SELECT n, position FROM untold ORDER BY position LIMIT ?'),
    goneFirst: db.prepare('SELECT position, id FROM gone ORDER BY position LIMIT ?'),
    messagesAfter: db.prepare('SELECT n FROM messages WHERE n > ? ORDER BY n LIMIT ?'),
    message: db.prepare('SELECT n, id, octets FROM messages WHERE n = ?'),
    locationOf: db.prepare('SELECT location FROM messages WHERE n = ?'),
    summaryOf: db.prepare('SELECT summary FROM summaries WHERE n = ?'),
    recipients: db.prepare('SELECT r, state, tries, next_at, cause FROM recipients WHERE n = ? ORDER BY r'),
  }
}
