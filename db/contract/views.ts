import { z } from 'zod'
import { certificateSourceSchema } from './certificates.ts'
import { domainInputSchema } from './directory.ts'
import { queueFilterSchema, queueStates } from './orders.ts'
import { roleSchema } from './roles.ts'
import { rowKindSchema } from './rows.ts'
import { observedStateSchema, serviceNameSchema } from './services.ts'
import { waitingCauseNames } from './waiting-causes.ts'

/** The responses of the API. The console and the command-line program read them. Times are RFC 3339 UTC. */

const time = z.iso.datetime()
const revision = z.number().int().nonnegative()

export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string().optional(),
  /** `path` is a dotted path into the body: `retryThreads`, `gateway.port`, `items.3.value`. */
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
})
export type Problem = z.infer<typeof problemSchema>

/** One row that a write changes, or changed. Secrets appear as `"(secret)"`. */
export const rowDiffSchema = z.object({
  kind: z.string(),
  id: z.string(),
  label: z.string(),
  before: z.unknown(),
  after: z.unknown(),
})
export type RowDiff = z.infer<typeof rowDiffSchema>

/** The minimum response to every write. With `?dryRun=true` nothing is saved, and the revision is the current one. */
export const writeResultSchema = z.object({
  revision,
  dryRun: z.boolean().optional(),
  /** Number of rows that differ; `diff` shows the first 200. */
  changes: z.number().int().nonnegative().optional(),
  diff: z.array(rowDiffSchema),
  warnings: z.array(z.string()),
})
export type WriteResult = z.infer<typeof writeResultSchema>

export const workerViewSchema = z.object({
  id: z.string(),
  service: serviceNameSchema,
  version: z.string(),
  pid: z.number().int(),
  observed: observedStateSchema,
  /** Whether the worker reported within the last 20 s. */
  live: z.boolean(),
  detail: z.string().optional(),
  revision,
  /**
   * Whether the worker's revision belongs to another history: a backup was restored, and the worker has not yet fetched
   * the snapshot.
   */
  otherHistory: z.boolean(),
  /** Number of revisions behind the newest; 0 while the missing ones are less than two seconds old. */
  lag: z.number().int().nonnegative(),
  refused: z.object({ revision, error: z.string() }).optional(),
  sessions: z.number().int(),
  listeners: z.array(z.object({ name: z.string(), address: z.string(), port: z.number().int() })),
  eventsUnsent: z.number().int(),
  waiting: z.object({ messages: z.number().int(), recipients: z.number().int() }).optional(),
  startedAt: time,
  heartbeatAt: time,
})
export type WorkerView = z.infer<typeof workerViewSchema>

export const serviceViewSchema = z.object({
  name: serviceNameSchema,
  title: z.string(),
  version: z.string(),
  desired: z.enum(['running', 'stopped']),
  generation: z.number().int(),
  observed: observedStateSchema,
  workers: z.array(workerViewSchema),
})
export type ServiceView = z.infer<typeof serviceViewSchema>

export const revisionViewSchema = z.object({
  revision,
  at: time,
  actor: z.string(),
  comment: z.string().optional(),
  /** Number of changed rows, and the first few in words, e.g. `settings general: maxMessageBytes`. */
  changes: z.number().int(),
  summary: z.string(),
  rolledBackTo: revision.optional(),
})
export type RevisionView = z.infer<typeof revisionViewSchema>
export const revisionDetailSchema = revisionViewSchema.extend({ against: revision, diff: z.array(rowDiffSchema) })

export const listEntryViewSchema = z.object({
  id: z.string(),
  value: z.string(),
  action: z.enum(['grant', 'deny']).optional(),
  comment: z.string().optional(),
  expiresAt: z.string().optional(),
  reason: z.string().optional(),
  evidence: z.array(z.string()).optional(),
  createdBy: z.string(),
  createdAt: z.string(),
})
export type ListEntryView = z.infer<typeof listEntryViewSchema>

export const domainViewSchema = domainInputSchema.extend({ id: z.string() })
export const accountViewSchema = z.object({
  id: z.string(),
  address: z.string(),
  login: z.string(),
  disabled: z.boolean(),
  forwardTo: z.array(z.string()).optional(),
  keepCopy: z.boolean().optional(),
  quotas: z.object({ sendsPerHour: z.number(), sendsPerDay: z.number() }).optional(),
})
export const aliasViewSchema = z.object({ id: z.string(), address: z.string(), to: z.array(z.string()) })
export const groupViewSchema = z.object({ id: z.string(), address: z.string(), members: z.array(z.string()) })
export const certificateViewSchema = z.object({
  id: z.string(),
  name: z.string(),
  source: certificateSourceSchema,
  /** The names in the certificate; before there is one, the requested names. */
  names: z.array(z.string()),
  notBefore: time.optional(),
  notAfter: time.optional(),
  fingerprint: z.string().optional(),
  issuer: z.string().optional(),
  /** E.g. `ECDSA P-256`. */
  key: z.string().optional(),
  /** PEM of the request for an authority to sign. */
  csr: z.string().optional(),
  /** `unsigned`: a request whose certificate has not been uploaded. `ordered`: ACME has not issued the certificate. */
  state: z.enum(['valid', 'expired', 'unsigned', 'ordered']),
  /** Why the last ACME order failed. */
  trouble: z.string().optional(),
  nextTryAt: time.optional(),
  /** Names that clients request (SNI) and for which they get this certificate. */
  shownFor: z.array(z.string()),
  /** Whether clients get this certificate if they request no name, or a name without a certificate. */
  isDefault: z.boolean(),
})
export type CertificateView = z.infer<typeof certificateViewSchema>
export const userViewSchema = z.object({
  id: z.string(),
  email: z.string(),
  role: roleSchema,
  createdAt: time,
  lastLoginAt: time.optional(),
})
export const loginSessionViewSchema = z.object({
  id: z.string(),
  createdAt: time,
  expiresAt: time,
  /** Time and address of the last refresh. */
  seenAt: time.optional(),
  address: z.string().optional(),
  /** The browser or program, as given by its User-Agent. */
  agent: z.string().optional(),
  /** Whether this is the session that makes the request. */
  current: z.boolean(),
})
export type LoginSessionView = z.infer<typeof loginSessionViewSchema>
export const tokenViewSchema = z.object({
  id: z.string(),
  name: z.string(),
  role: roleSchema,
  createdBy: z.string(),
  createdAt: time,
  expiresAt: time.optional(),
  lastUsedAt: time.optional(),
})
export const auditViewSchema = z.object({
  id: z.string(),
  at: time,
  actor: z.string(),
  action: z.string(),
  kind: z.union([rowKindSchema, z.string()]),
  entity: z.string(),
  revision: revision.optional(),
  comment: z.string().optional(),
  /** The address that the request came from. Absent for actions of the system itself. */
  address: z.string().optional(),
})

export const queueItemSchema = z.object({
  id: z.string(),
  state: z.enum(queueStates),
  sender: z.string(),
  recipients: z.array(z.string()),
  size: z.number().int(),
  subject: z.string().optional(),
  receivedAt: time,
  attempts: z.number().int(),
  nextTryAt: time.optional(),
  /** Why the message waits: the last reply, or who holds it. */
  cause: z.string().optional(),
  worker: z.string(),
})
export type QueueItem = z.infer<typeof queueItemSchema>

export const queueSummarySchema = z.object({
  messages: z.number().int(),
  byState: z.object({ active: z.number().int(), deferred: z.number().int(), held: z.number().int() }),
  oldestReceivedAt: time.optional(),
  topDomains: z.array(z.object({ domain: z.string(), messages: z.number().int() })),
  topCauses: z.array(z.object({ cause: z.string(), messages: z.number().int() })),
})

export const queueDoctorSchema = z.object({
  /** In descending order of messages; at most 200. */
  items: z.array(
    z.object({
      /** Recipient domain. */
      destination: z.string(),
      cause: z.enum(waitingCauseNames),
      title: z.string(),
      messages: z.number().int(),
      recipients: z.number().int(),
      oldestReceivedAt: time,
      /** The earliest time for the deferred messages. */
      nextTryAt: time.optional(),
      explanation: z.string(),
      /** What the server does next without an operator. */
      nextAction: z.string(),
      /** The newest of the messages, and the last reply about it. */
      example: z.object({ messageId: z.string(), reply: z.string() }),
      /** A filter that finds these messages in `GET /v1/queue` and `POST /v1/queue/actions`. */
      filter: queueFilterSchema,
    }),
  ),
})
export type QueueDoctorItem = z.infer<typeof queueDoctorSchema>['items'][number]

export const recordedEventSchema = z.looseObject({
  id: z.string(),
  worker: z.string(),
  n: z.number().int(),
  at: time,
  type: z.string(),
  title: z.string(),
  text: z.string(),
  messageId: z.string().optional(),
})
/** A stored event. `text` is one sentence for people; the event's own fields are beside it. */
export type RecordedEvent = z.infer<typeof recordedEventSchema>

export const messageViewSchema = z.object({
  id: z.string(),
  /** `active`, `deferred`, `held`, or `finished`. */
  state: z.enum([...queueStates, 'finished']),
  sender: z.string(),
  recipients: z.array(
    z.object({
      address: z.string(),
      original: z.string(),
      outcome: z.enum(['waiting', 'delivered', 'bounced', 'discarded']),
      attempts: z.number().int(),
      lastReply: z.string().optional(),
      nextTryAt: time.optional(),
    }),
  ),
  size: z.number().int(),
  subject: z.string().optional(),
  receivedAt: time.optional(),
  origin: z.string(),
  client: z.looseObject({ ip: z.string() }).optional(),
  revision: revision.optional(),
  attempts: z.array(
    z.looseObject({
      at: time,
      outcome: z.enum(['delivered', 'deferred', 'bounced']),
      attempt: z.number().int(),
      recipients: z.array(z.string()),
      remote: z.looseObject({ host: z.string() }),
      reply: z.string(),
      durationMs: z.number(),
    }),
  ),
  trace: z.array(recordedEventSchema),
})
export type MessageView = z.infer<typeof messageViewSchema>

/** A message as the log tells of it, or mail that was refused. */
export const loggedMessageSchema = z.object({
  /** Of mail that was refused: the id of the event. */
  id: z.string(),
  receivedAt: time,
  /** Absent if the client was refused before it gave one. */
  sender: z.string().optional(),
  recipients: z.array(z.string()),
  subject: z.string().optional(),
  /** `bounced` if one recipient was not reached; `waiting` while one waits. */
  outcome: z.enum(['waiting', 'delivered', 'bounced', 'discarded', 'refused']),
  lastReply: z.string().optional(),
  /** In bytes. Absent if it was refused before its data. */
  size: z.number().int().optional(),
  client: z.string().optional(),
})
export type LoggedMessageView = z.infer<typeof loggedMessageSchema>

/**
 * Recipient counts, for each interval and in total. `balance` = received − delivered − bounced − discarded − queued: 0
 * if the books balance.
 */
const booksRow = {
  received: z.number().int(),
  delivered: z.number().int(),
  bounced: z.number().int(),
  discarded: z.number().int(),
  /**
   * Outcomes of recipients that already had one from another worker: mail delivered or returned more than once. Counted
   * when the log of the hour is compacted. Not part of the balance.
   */
  duplicates: z.number().int(),
}
export const booksSchema = z.object({
  total: z.object({ ...booksRow, queued: z.number().int(), balance: z.number().int() }),
  /** Counted by the SMTP workers: what they answered with 250 since they exist. Notifications are not in it. */
  receivers: z.object({ messages: z.number().int(), recipients: z.number().int() }).optional(),
  /** Number of waiting recipients according to the Queue Managers' own indexes; `undefined` before the first report. */
  queuedByWorkers: z.number().int().optional(),
  /** Events that workers hold and storage does not have yet. The books do not depend on them. */
  eventsUnsent: z.number().int(),
  intervals: z.array(z.object({ at: time, worker: z.string(), ...booksRow })),
})
export type Books = z.infer<typeof booksSchema>

export function page<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item), nextCursor: z.string().nullable() })
}
export type Page<T> = { items: T[]; nextCursor: string | null }

/** The ports that a worker has open in place of a saved port. No `ports`: nothing is open. */
export const portInForceSchema = z.object({
  worker: z.string(),
  ports: z.array(z.number().int()),
  because: z.string().optional(),
})
export type PortInForce = z.infer<typeof portInForceSchema>
