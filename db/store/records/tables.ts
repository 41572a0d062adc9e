import { sql } from 'drizzle-orm'
import { blob, index, integer, primaryKey, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'

/** The records' database: what waits, the workers, and the books. Times are milliseconds since the epoch. */

/** The last report of each worker. */
export const workers = sqliteTable('workers', {
  id: text().primaryKey(),
  service: text().notNull(),
  enrolledAt: integer('enrolled_at').notNull(),
  /** 0 before the first report. */
  heartbeatAt: integer('heartbeat_at').notNull(),
  /** A `WorkerReport` as JSON. */
  report: text(),
})

/** How far storage has each log of a worker. The events are in the log store. */
export const eventLogs = sqliteTable(
  'event_logs',
  {
    worker: text().notNull(),
    /** The worker's own name for the log. */
    log: text().notNull(),
    /** Everything up to and including this number is stored. */
    acknowledged: integer().notNull(),
  },
  (table) => [primaryKey({ columns: [table.worker, table.log] })],
)

/** Projection of events: one row for each message. `acceptedAt` is null while only its deliveries are known. */
export const messages = sqliteTable(
  'messages',
  {
    id: text().primaryKey(),
    worker: text().notNull(),
    acceptedAt: integer('accepted_at'),
    sender: text().notNull().default(''),
    size: integer().notNull().default(0),
    subject: text(),
    origin: text().notNull().default('smtp'),
    client: text(),
    revision: integer(),
    /** `active`, `deferred`, `held`, `finished`. */
    state: text().notNull().default('active'),
    /** Who or what holds the message; empty when released. The newest `holdAt` wins, in any order of events. */
    hold: text().notNull().default(''),
    holdAt: integer('hold_at').notNull().default(0),
    touchedAt: integer('touched_at').notNull(),
  },
  (table) => [index('messages_state').on(table.state, table.id)],
)

export const recipients = sqliteTable(
  'recipients',
  {
    messageId: text('message_id').notNull(),
    address: text().notNull(),
    original: text().notNull(),
    domain: text().notNull(),
    /** `waiting` until the first final event. A recipient counts once, however often an event is repeated. */
    outcome: text().notNull().default('waiting'),
    attempts: integer().notNull().default(0),
    lastReply: text('last_reply'),
    cause: text(),
    /** The `WaitingCause` (db/contract/waiting-causes.ts) of the last attempt; null before the first. */
    waitingCause: text('waiting_cause'),
    nextTryAt: integer('next_try_at'),
  },
  (table) => [
    primaryKey({ columns: [table.messageId, table.address] }),
    // Most recipients are finished, so the index covers only the waiting ones.
    index('recipients_waiting').on(table.messageId).where(sql`outcome = 'waiting'`),
  ],
)

/** Requests from the API to workers (db/contract/worker-requests.ts). */
export const workerRequests = sqliteTable(
  'worker_requests',
  {
    id: text().primaryKey(),
    /** The workers that have not answered, as JSON. */
    workers: text().notNull(),
    request: text().notNull(),
    requestHash: text('request_hash').notNull(),
    answer: text(),
    createdAt: integer('created_at').notNull(),
  },
  (table) => [index('worker_requests_created').on(table.createdAt)],
)

/** Bytes of a message in transit between the API and a worker (db/contract/worker-requests.ts). */
export const messageChunks = sqliteTable(
  'message_chunks',
  {
    /** Identifies the message, not the request: the same request may be made twice at once. */
    bundle: text().notNull(),
    n: integer().notNull(),
    bytes: blob('octets', { mode: 'buffer' }).notNull(),
    createdAt: integer('created_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.bundle, table.n] }), index('message_chunks_created').on(table.createdAt)],
)

/**
 * Counts for each minute and worker. The first four count recipients, the others events. Rows are never removed,
 * because the totals are their sums.
 */
export const books = sqliteTable(
  'books',
  {
    minute: integer().notNull(),
    worker: text().notNull(),
    received: integer().notNull().default(0),
    delivered: integer().notNull().default(0),
    bounced: integer().notNull().default(0),
    discarded: integer().notNull().default(0),
    messages: integer().notNull().default(0),
    deferred: integer().notNull().default(0),
    refused: integer().notNull().default(0),
    loginFailures: integer('login_failures').notNull().default(0),
    duplicates: integer().notNull().default(0),
  },
  (table) => [primaryKey({ columns: [table.minute, table.worker] })],
)

/**
 * Facts of decisions for the replay: a batch of sessions, compressed as the worker sent it. Times are those of the
 * sessions.
 */
export const facts = sqliteTable(
  'facts',
  {
    id: integer().primaryKey({ autoIncrement: true }),
    worker: text().notNull(),
    /** The worker's own name for the batch. A repeated batch is stored once. */
    batch: text().notNull(),
    since: integer().notNull(),
    until: integer().notNull(),
    sessions: integer().notNull(),
    /** Number of sessions that the worker dropped before this batch. */
    dropped: integer().notNull(),
    /** Size of `records` in bytes. */
    bytes: integer('octets').notNull(),
    records: blob({ mode: 'buffer' }).notNull(),
  },
  (table) => [
    uniqueIndex('facts_worker_batch').on(table.worker, table.batch),
    index('facts_time').on(table.since, table.until, table.sessions, table.bytes, table.dropped),
  ],
)

/** Batches that were removed early to make room. */
export const factsLost = sqliteTable('facts_lost', {
  id: integer().primaryKey({ autoIncrement: true }),
  since: integer().notNull(),
  until: integer().notNull(),
  sessions: integer().notNull(),
})
