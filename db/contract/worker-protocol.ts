import { z } from 'zod'
import { domainSchema } from './address.ts'
import { queueStates } from './orders.ts'
import { observedStateSchema, serviceNameSchema } from './services.ts'

/**
 * The HTTP protocol between workers and the API. Rows travel as NDJSON, one JSON object for each line.
 * - `GET /v1/worker/snapshot`: `{"revision":n,"id":"…"}`, then one `Row` for each line, then `{"end":true}`.
 * - `GET /v1/worker/changes?after=n&id=…`: `{"revision":latest,"id":"…"}`, then one `RowChange` for each line in order
 *   of revision, then `{"end":true}`.
 * A stream without its end line is incomplete and must not be applied. `410` to `changes` means that this revision is
 * not part of this history (a backup was restored), or that changes since then are gone. The worker then fetches the
 * snapshot.
 */

/** A hash over the previous revision and the changes. Empty: there is no revision yet. */
export const revisionIdSchema = z.string().max(100)

/** Identifies a revision. The number is unique only within one history, and a restored backup starts a second one. */
export type RevisionName = { revision: number; id: string }

/** The name of a worker: lower-case letters, digits and hyphens. */
export const workerNameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,40}$/, 'must be the name of a worker: up to 41 lower-case letters, digits and hyphens')

export const enrolRequestSchema = z.strictObject({
  /** The single-purpose token from `POSTERN_ENROL_TOKEN`. */
  token: z.string().min(16).max(500).meta({ secret: true }),
  service: serviceNameSchema,
  /** Stable across restarts of the same worker, e.g. `smtp-1`. */
  name: workerNameSchema,
  version: z.string().max(40),
})
export const enrolResponseSchema = z.object({
  workerId: z.string(),
  accessToken: z.string(),
  /** Seconds. */
  expiresIn: z.number().int(),
})

/** `POST /v1/worker/report`, at every change and at least every 5 s. */
export const workerReportSchema = z.strictObject({
  service: serviceNameSchema,
  version: z.string().max(40),
  pid: z.number().int(),
  startedAt: z.iso.datetime(),
  observed: observedStateSchema,
  /** What is wrong if the worker is degraded, e.g. a port that it could not bind. */
  detail: z.string().max(500).optional(),
  /** The revision in force; 0 before the first. */
  revision: z.number().int().nonnegative(),
  /** Absent for a worker of an earlier release. */
  revisionId: revisionIdSchema.optional(),
  /** The generation of the service's desired state that the worker has applied. */
  generation: z.number().int().nonnegative(),
  refused: z.object({ revision: z.number().int(), error: z.string().max(1000) }).optional(),
  sessions: z.number().int().nonnegative(),
  listeners: z
    .array(z.object({ name: z.string().max(20), address: z.string().max(64), port: z.number().int() }))
    .max(64),
  queueUrl: z.string().max(1000).optional(),
  /** Queue Manager: waiting messages and recipients according to its own index, for comparison with the books. */
  waiting: z
    .object({
      messages: z.number().int(),
      recipients: z.number().int(),
      byState: z.partialRecord(z.enum(queueStates), z.number().int()),
    })
    .optional(),
  /** Receivers: what they answered with 250 since they exist, counted durably. */
  acknowledged: z.object({ messages: z.number().int(), recipients: z.number().int() }).optional(),
  /** Events on the worker's disk that storage has not acknowledged. */
  eventsUnsent: z.number().int().nonnegative(),
  /** Numbers for /metrics, from `workerMetrics`: name → value. */
  metrics: z.record(z.string().regex(/^[a-z_]{1,80}$/), z.number()).optional(),
})
export type WorkerReport = z.infer<typeof workerReportSchema>
/** `requests`: number of requests that wait for this worker. */
export const workerReportResponseSchema = z.object({
  revision: z.number().int(),
  revisionId: revisionIdSchema,
  requests: z.number().int().default(0),
})

/** Maximum number of events in a batch. */
export const maxBatchEvents = 5_000
/** Maximum bytes of a batch, compressed and not. */
export const maxBatchBytes = { compressed: 4 * 1024 * 1024, plain: 16 * 1024 * 1024 }

const logId = z.string().regex(/^[0-9a-f]{12}$/, 'must be the id of a log: 12 hexadecimal digits')
const eventNumber = z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER)

/** `GET /v1/worker/events`: how far storage has this log of the worker. */
export const eventLogSchema = z.strictObject({ log: logId })

/**
 * `POST /v1/worker/events`: a batch of events with the numbers `first` to `last`, from one UTC hour. The body is NDJSON,
 * compressed with zstd; each line begins with number, time and type, as JSON.stringify writes them, and only these are
 * read when it is stored. A worker numbers its events from 1 in each of its logs. Between `after` and `first` the log has
 * no events. A batch that was already stored is accepted again but stored only once.
 */
export const eventBatchQuerySchema = z.strictObject({
  log: logId,
  after: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
  first: eventNumber,
  last: eventNumber,
})
export type EventBatch = z.infer<typeof eventBatchQuerySchema> & { content: Uint8Array<ArrayBuffer> }

/**
 * Storage has all events of the log up to and including this number. If it is below the batch, the batch was not stored:
 * the worker goes on from this number.
 */
export const eventBatchResponseSchema = z.object({ acknowledged: z.number().int().nonnegative() })

/**
 * `POST /v1/worker/etrn`: an authorised client asks the server to try a domain's queue now (RFC 1985). The API creates
 * an order.
 */
export const etrnRequestSchema = z.strictObject({
  domain: domainSchema,
  /** The login or the address of the client. */
  by: z.string().min(1).max(320),
})

/** The body of an SQS message: only the change notification. */
export const changeNotificationSchema = z.object({ revision: z.number().int().nonnegative() })

/**
 * `POST /v1/worker/facts`: the facts that decisions used, for the replay. The body is NDJSON of sessions
 * (`session-facts.ts`), compressed with zstd. A batch that was already stored is accepted again but stored
 * only once.
 */
export const factBatchQuerySchema = z.strictObject({
  id: z.string().length(36),
  /** Times of the oldest and the newest session in the batch, in milliseconds since the epoch. */
  since: z.coerce.number().int().nonnegative(),
  until: z.coerce.number().int().nonnegative(),
  sessions: z.coerce.number().int().min(1).max(100_000),
  /** Number of sessions since the previous batch that were not recorded because storage or this worker had no room. */
  dropped: z.coerce.number().int().nonnegative(),
})
export type FactBatch = z.infer<typeof factBatchQuerySchema> & { records: Uint8Array<ArrayBuffer> }
/** Maximum bytes of a batch of facts, compressed. */
export const maxFactBytes = 9_000_000
