import { z } from 'zod'
import { domainSchema } from './address.ts'
import { queueStates } from './orders.ts'
import { observedStateSchema, serviceNameSchema } from './services.ts'

/**
 * What workers and the API say to each other over HTTP. Rows travel as NDJSON, one JSON object a line:
 * `GET /v1/worker/snapshot`: `{"revision":n,"id":"…"}`, then one `Row` a line, then `{"end":true}`.
 * `GET /v1/worker/changes?after=n&id=…`: `{"revision":latest,"id":"…"}`, then one `RowChange` a line in order of revision, then
 * `{"end":true}`. A stream without its end line is incomplete and must not be applied. `410` to `changes`: this revision is not
 * part of this history (a backup was put back), or changes since then are gone; take the snapshot.
 */

/** A hash over the revision before it and what it changed. Empty: there is no revision yet. */
export const revisionIdSchema = z.string().max(100)

/** Which revision: the number counts within one history, and after a backup was put back there are two. */
export type RevisionName = { revision: number; id: string }

/** What a worker is called: lower-case letters, digits and hyphens. */
export const workerNameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,40}$/, 'must be the name of a worker: up to 41 lower-case letters, digits and hyphens')

export const enrolRequestSchema = z.strictObject({
  /** The one-purpose token from `POSTERN_ENROL_TOKEN`. */
  token: z.string().min(16).max(500).meta({ secret: true }),
  service: serviceNameSchema,
  /** Stable over restarts of the same worker, e.g. `smtp-1`. */
  name: workerNameSchema,
  version: z.string().max(40),
})
export const enrolResponseSchema = z.object({
  workerId: z.string(),
  accessToken: z.string(),
  /** Seconds. */
  expiresIn: z.number().int(),
  /** The highest event number storage has of this worker; a worker with an empty disk goes on from there. */
  lastEvent: z.number().int().nonnegative(),
})

/** `POST /v1/worker/report`, at every change and at least every 5 s. */
export const workerReportSchema = z.strictObject({
  service: serviceNameSchema,
  version: z.string().max(40),
  pid: z.number().int(),
  startedAt: z.iso.datetime(),
  observed: observedStateSchema,
  /** What is wrong, when degraded: e.g. the port that could not be bound. */
  detail: z.string().max(500).optional(),
  /** Revision in force; 0 before the first. */
  revision: z.number().int().nonnegative(),
  /** Absent: a worker of an earlier release. */
  revisionId: revisionIdSchema.optional(),
  /** Generation of the service's desired state that was carried out. */
  generation: z.number().int().nonnegative(),
  refused: z.object({ revision: z.number().int(), error: z.string().max(1000) }).optional(),
  sessions: z.number().int().nonnegative(),
  listeners: z
    .array(z.object({ name: z.string().max(20), address: z.string().max(64), port: z.number().int() }))
    .max(64),
  queueUrl: z.string().max(1000).optional(),
  /** Queue Manager: messages and recipients that wait, by its own index; the other half of the books. */
  waiting: z
    .object({
      messages: z.number().int(),
      recipients: z.number().int(),
      byState: z.partialRecord(z.enum(queueStates), z.number().int()),
    })
    .optional(),
  /** Events on the worker's disk that storage has not acknowledged. */
  eventsUnsent: z.number().int().nonnegative(),
  /** Numbers for /metrics, of `workerMetrics`: name → value. */
  metrics: z.record(z.string().regex(/^[a-z_]{1,80}$/), z.number()).optional(),
})
export type WorkerReport = z.infer<typeof workerReportSchema>
/** `requests`: how many wait for this worker. */
export const workerReportResponseSchema = z.object({
  revision: z.number().int(),
  revisionId: revisionIdSchema,
  requests: z.number().int().default(0),
})

/** `POST /v1/worker/events`. A batch that was stored already is accepted again and stored once. */
export const eventBatchSchema = z.strictObject({
  events: z
    .array(z.looseObject({ n: z.number().int().min(1), at: z.string(), type: z.string() }))
    .min(1)
    .max(500),
})
/** Storage has everything up to and including this number. */
export const eventBatchResponseSchema = z.object({ acknowledged: z.number().int().nonnegative() })

/** `POST /v1/worker/etrn`: a client that may (RFC 1985) asks for the queue of a domain to be tried now. The API makes an order of it. */
export const etrnRequestSchema = z.strictObject({
  domain: domainSchema,
  /** The login or the address of who asked. */
  by: z.string().min(1).max(320),
})

/** The body of an SQS message: the change notification, nothing more. */
export const changeNotificationSchema = z.object({ revision: z.number().int().nonnegative() })

/**
 * `POST /v1/worker/facts`: what decisions looked at, for the replay. `records`: NDJSON of sessions (`session-facts.ts`), compressed
 * with zstd, in base64. A batch that was stored already is accepted again and stored once.
 */
export const factBatchSchema = z.strictObject({
  id: z.string().length(36),
  /** Of the oldest and the newest session in it, milliseconds since the epoch. */
  since: z.number().int().nonnegative(),
  until: z.number().int().nonnegative(),
  sessions: z.number().int().min(1).max(100_000),
  /** Sessions that were not recorded since the batch before: storage or this worker had no room for them. */
  dropped: z.number().int().nonnegative(),
  encoding: z.literal('zstd'),
  records: z.base64().max(12_000_000),
})
export type FactBatch = z.infer<typeof factBatchSchema>
