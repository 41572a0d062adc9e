import type { OffenceKind } from '@postern/contract/offences.ts'
import type { Role } from '@postern/contract/roles.ts'
import type { RowKind } from '@postern/contract/rows.ts'
import type { ServiceName } from '@postern/contract/services.ts'
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'

/** The control plane's database: what the system should do, who said so, and who may. Times are milliseconds since the epoch. */

/** The replicated state as it is now. `value` is JSON with its secrets sealed; `key` is what a value is known by within its kind. */
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
 * One row a revision. `id` is a hash over the id before it and what it changed: a backup that was put back continues under the
 * same numbers, but not under the same ids. `announced` is the outbox: 0 until every live worker has been notified.
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

/** What each revision changed: audit log, undo log and replication stream in one. `null` before: made; `null` after: deleted. */
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

/** Every write, login, and look into a message body. */
export const audit = sqliteTable('audit', {
  id: text().primaryKey(),
  at: integer().notNull(),
  actor: text().notNull(),
  action: text().notNull(),
  kind: text().notNull(),
  entity: text().notNull(),
  revision: integer(),
  comment: text(),
  /** Where the request came from; none of what the system does by itself. */
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
  /** The user it stands for, without whom it is void: who made it, or who made the token that made it. */
  userId: text('user_id'),
  createdAt: integer('created_at').notNull(),
  expiresAt: integer('expires_at'),
  lastUsedAt: integer('last_used_at'),
})

/** A login and all refresh tokens that came of it. Revoked as a whole: by logout, or when a used token comes back. */
export const sessions = sqliteTable(
  'sessions',
  {
    id: text().primaryKey(),
    userId: text('user_id').notNull(),
    createdAt: integer('created_at').notNull(),
    expiresAt: integer('expires_at').notNull(),
    revokedAt: integer('revoked_at'),
    /** Where the console was last seen from, at sign-in or refresh: never blocked by a worker's report. */
    address: text(),
    seenAt: integer('seen_at'),
    /** `User-Agent` at sign-in, to know the session again by. */
    agent: text(),
  },
  (table) => [index('sessions_user').on(table.userId)],
)

export const refreshTokens = sqliteTable(
  'refresh_tokens',
  { hash: text().primaryKey(), sessionId: text('session_id').notNull(), usedAt: integer('used_at') },
  (table) => [index('refresh_tokens_session').on(table.sessionId)],
)

/** `privateKey` is a sealed JWK; `retiredAt`: still in the JWKS, signs no more. */
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

/** `answer` is sealed: it may hold a secret that is shown once. */
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

/** One account an authority and contact (RFC 8555 §7.3). `key` is sealed PEM; `url` is empty until the authority has said it. */
export const acmeAccounts = sqliteTable('acme_accounts', {
  id: text().primaryKey(),
  key: text().notNull(),
  url: text().notNull(),
  createdAt: integer('created_at').notNull(),
})

/** What is answered at `/.well-known/acme-challenge/{token}` while an order is open. */
export const acmeChallenges = sqliteTable('acme_challenges', {
  token: text().primaryKey(),
  answer: text().notNull(),
  expiresAt: integer('expires_at').notNull(),
})

/** What was observed about a certificate row; nothing here is replicated. */
export const certificateWatch = sqliteTable('certificate_watch', {
  id: text().primaryKey(),
  /** Of the certificate that `warned` is about. */
  fingerprint: text().notNull().default(''),
  /** The warning given last, in days before the end. */
  warned: integer(),
  /** Orders that failed since the last that did not. */
  failures: integer().notNull().default(0),
  error: text(),
  nextTryAt: integer('next_try_at').notNull().default(0),
  /** One order at a time, whoever makes it: until then it is somebody's. */
  busyUntil: integer('busy_until').notNull().default(0),
})
/**
 * What workers reported and no limit has used yet, or lately used (`used`: 1, so that a batch that comes again is known).
 * `expiresAt`: when it is too old for the window that was in force when it came.
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
