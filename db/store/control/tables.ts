import type { OffenceKind } from '@postern/contract/offences.ts'
import type { Role } from '@postern/contract/roles.ts'
import type { RowKind } from '@postern/contract/rows.ts'
import type { ServiceName } from '@postern/contract/services.ts'
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'

/**
 * The control plane's database: the desired state of the system, its changes and their authors, and permissions. Times
 * are milliseconds since the epoch.
 */

/** The current replicated state. `value` is JSON with its secrets sealed; `key` identifies a value within its kind. */
export const rows = sqliteTable(
  'rows',
  {
    kind: text().$type<RowKind>().notNull(),
    id: text().notNull(),
    key: text().notNull(),
    value: text().notNull(),
    revision: integer().notNull(),
    /** List entries only. */
    expiresAt: integer('expires_at'),
  },
  (table) => [
    primaryKey({ columns: [table.kind, table.id] }),
    uniqueIndex('rows_kind_key').on(table.kind, table.key),
    index('rows_expires_at').on(table.expiresAt),
  ],
)

/**
 * One row for each revision. `id` is a hash over the previous id and the changes: a restored backup continues with the
 * same numbers, but not with the same ids. `announced` is the outbox: 0 until every live worker has been notified.
 */
export const revisions = sqliteTable(
  'revisions',
  {
    revision: integer().primaryKey(),
    id: text().notNull().default(''),
    at: integer().notNull(),
    actor: text().notNull(),
    action: text().notNull(),
    comment: text(),
    changes: integer().notNull(),
    summary: text().notNull(),
    rolledBackTo: integer('rolled_back_to'),
    announced: integer().notNull().default(0),
  },
  (table) => [index('revisions_announced').on(table.announced, table.revision)],
)

/**
 * The changes of each revision: audit log, undo log and replication stream in one. `before` is null for a created row,
 * `after` for a deleted one.
 */
export const changes = sqliteTable(
  'changes',
  {
    revision: integer().notNull(),
    seq: integer().notNull(),
    kind: text().$type<RowKind>().notNull(),
    id: text().notNull(),
    key: text().notNull(),
    before: text(),
    after: text(),
  },
  (table) => [
    primaryKey({ columns: [table.revision, table.seq] }),
    index('changes_of_row').on(table.kind, table.id, table.revision),
  ],
)

/** Every write, every login, and every view of a message body. */
export const audit = sqliteTable('audit', {
  id: text().primaryKey(),
  at: integer().notNull(),
  actor: text().notNull(),
  action: text().notNull(),
  kind: text().notNull(),
  entity: text().notNull(),
  revision: integer(),
  comment: text(),
  /** The address that the request came from. Absent for actions of the system itself. */
  address: text(),
})

export const users = sqliteTable('users', {
  id: text().primaryKey(),
  email: text().notNull().unique(),
  role: text().$type<Role>().notNull(),
  passwordHash: text('password_hash').notNull(),
  createdAt: integer('created_at').notNull(),
  lastLoginAt: integer('last_login_at'),
})

export const apiTokens = sqliteTable('api_tokens', {
  id: text().primaryKey(),
  hash: text().notNull().unique(),
  name: text().notNull(),
  role: text().$type<Role>().notNull(),
  createdBy: text('created_by').notNull(),
  /**
   * The user that the token acts for: its creator, or the user of the token that created it. Without this user the
   * token is invalid.
   */
  userId: text('user_id'),
  createdAt: integer('created_at').notNull(),
  expiresAt: integer('expires_at'),
  lastUsedAt: integer('last_used_at'),
})

/**
 * A login and all refresh tokens derived from it. A session is revoked as a whole: by logout, or when a used token is
 * presented again.
 */
export const sessions = sqliteTable(
  'sessions',
  {
    id: text().primaryKey(),
    userId: text('user_id').notNull(),
    createdAt: integer('created_at').notNull(),
    expiresAt: integer('expires_at').notNull(),
    revokedAt: integer('revoked_at'),
    /** The address of the console at its last sign-in or refresh. Reports from workers never block it. */
    address: text(),
    seenAt: integer('seen_at'),
    /** The `User-Agent` at sign-in, so that users recognise the session. */
    agent: text(),
  },
  (table) => [index('sessions_user').on(table.userId)],
)

export const refreshTokens = sqliteTable(
  'refresh_tokens',
  { hash: text().primaryKey(), sessionId: text('session_id').notNull(), usedAt: integer('used_at') },
  (table) => [index('refresh_tokens_session').on(table.sessionId)],
)

/** `privateKey` is a sealed JWK. `retiredAt`: the key is still in the JWKS but no longer signs. */
export const signingKeys = sqliteTable('signing_keys', {
  kid: text().primaryKey(),
  publicKey: text('public_key').notNull(),
  privateKey: text('private_key').notNull(),
  createdAt: integer('created_at').notNull(),
  retiredAt: integer('retired_at'),
})

export const enrolTokens = sqliteTable('enrol_tokens', {
  id: text().primaryKey(),
  hash: text().notNull().unique(),
  service: text().$type<ServiceName | 'any'>().notNull(),
  name: text().notNull(),
  createdBy: text('created_by').notNull(),
  createdAt: integer('created_at').notNull(),
  expiresAt: integer('expires_at'),
})

/** `answer` is sealed because it may hold a secret that is shown only once. */
export const idempotencyKeys = sqliteTable(
  'idempotency_keys',
  {
    actor: text().notNull(),
    key: text().notNull(),
    requestHash: text('request_hash').notNull(),
    status: integer().notNull(),
    answer: text().notNull(),
    at: integer().notNull(),
  },
  (table) => [primaryKey({ columns: [table.actor, table.key] })],
)

export const loginFailures = sqliteTable(
  'login_failures',
  { id: text().primaryKey(), key: text().notNull(), at: integer().notNull() },
  (table) => [index('login_failures_key').on(table.key, table.at)],
)

/**
 * One account for each authority and contact (RFC 8555 §7.3). `key` is sealed PEM. `url` is empty until the authority
 * returns it.
 */
export const acmeAccounts = sqliteTable('acme_accounts', {
  id: text().primaryKey(),
  key: text().notNull(),
  url: text().notNull(),
  createdAt: integer('created_at').notNull(),
})

/** The responses at `/.well-known/acme-challenge/{token}` while an order is open. */
export const acmeChallenges = sqliteTable('acme_challenges', {
  token: text().primaryKey(),
  answer: text().notNull(),
  expiresAt: integer('expires_at').notNull(),
})

/** Observations about certificate rows. Not replicated. */
export const certificateWatch = sqliteTable('certificate_watch', {
  id: text().primaryKey(),
  /** Fingerprint of the certificate that `warned` is about. */
  fingerprint: text().notNull().default(''),
  /** The last warning given, in days before expiry. */
  warned: integer(),
  /** Number of failed orders since the last success. */
  failures: integer().notNull().default(0),
  error: text(),
  nextTryAt: integer('next_try_at').notNull().default(0),
  /** Until this time one process has claimed the order, so that only one runs at a time. */
  busyUntil: integer('busy_until').notNull().default(0),
})
/**
 * Offences that workers reported and that no limit has used yet, or that were used recently (`used`: 1, so that a
 * repeated batch is recognised). `expiresAt`: the end of the window that was in force when the offence arrived.
 */
export const offences = sqliteTable(
  'offences',
  {
    worker: text().notNull(),
    id: text().notNull(),
    address: text().notNull(),
    kind: text().$type<OffenceKind>().notNull(),
    at: integer().notNull(),
    count: integer().notNull(),
    /** A JSON array of sentences. */
    evidence: text().notNull(),
    used: integer().notNull().default(0),
    expiresAt: integer('expires_at').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.worker, table.id] }),
    index('offences_address').on(table.address, table.used),
    index('offences_expires_at').on(table.expiresAt),
  ],
)
