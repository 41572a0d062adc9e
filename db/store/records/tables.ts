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

/** What waits, as the Queue Managers tell it (db/contract/queue-mirror.ts). One that is delivered at once is never here. */
export const waitingMessages = sqliteTable(
  'waiting_messages',
  {
    queueManager: text('queue_manager').notNull(),
    id: text().notNull(),
    /** The worker that accepted it. */
    worker: text().notNull(),
    receivedAt: integer('received_at').notNull(),
    sender: text().notNull(),
    size: integer().notNull(),
    subject: text(),
    origin: text().notNull(),
    client: text(),
    revision: integer().notNull(),
    /** `active`, `deferred`, `held`. */
    state: text().notNull(),
    /** Who or what holds the message; empty: nobody. */
    hold: text().notNull(),
    /** Of `queue_mirrors` when it was told. */
    run: integer().notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.queueManager, table.id] }),
    index('waiting_messages_id').on(table.id),
    index('waiting_messages_state').on(table.state, table.id),
  ],
)

export const waitingRecipients = sqliteTable(
  'waiting_recipients',
  {
    queueManager: text('queue_manager').notNull(),
    messageId: text('message_id').notNull(),
    n: integer().notNull(),
    address: text().notNull(),
    original: text().notNull(),
    domain: text().notNull(),
    attempts: integer().notNull(),
    lastReply: text('last_reply'),
    cause: text(),
    /** The `WaitingCause` (db/contract/waiting-causes.ts) of the last attempt; null before the first. */
    waitingCause: text('waiting_cause'),
    nextTryAt: integer('next_try_at'),
  },
  (table) => [
    primaryKey({ columns: [table.queueManager, table.messageId, table.n] }),
    index('waiting_recipients_message').on(table.messageId),
    index('waiting_recipients_domain').on(table.domain, table.messageId),
  ],
)

/** How far each Queue Manager has told what waits, and the last counts that were added to the books. */
export const queueMirrors = sqliteTable('queue_mirrors', {
  queueManager: text('queue_manager').primaryKey(),
  incarnation: integer().notNull().default(0),
  /** -1: not known; everything has to be told again. */
  position: integer().notNull().default(-1),
  /** Of the last time that everything was told, and its next page. */
  run: integer().notNull().default(0),
  nextPage: integer('next_page').notNull().default(0),
  /** 0 while everything is told: rows from before are still there. */
  complete: integer().notNull().default(0),
  /** Counts the pages stored. Each is stored only on top of the one that its writer has seen. */
  version: integer().notNull().default(0),
  /** The last `QueueCounts`, null before the first. */
  countsId: integer('counts_id'),
  messages: integer().notNull().default(0),
  received: integer().notNull().default(0),
  delivered: integer().notNull().default(0),
  bounced: integer().notNull().default(0),
  discarded: integer().notNull().default(0),
  waiting: integer().notNull().default(0),
})

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
 * Counts for each minute and worker: recipients, but `messages`, and refusals and failed logins. They are differences of
 * what the workers count. Rows are never removed, because the totals are their sums.
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

/** The balance that the last event told of; no row, or 0: the books balanced. */
export const booksAlarm = sqliteTable('books_alarm', { id: integer().primaryKey(), balance: integer().notNull() })
