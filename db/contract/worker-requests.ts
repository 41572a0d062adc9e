import { z } from 'zod'
import { mailAddressSchema } from './address.ts'
import { notifySchema } from './envelope.ts'

/**
 * Requests from the API to a worker. Only workers have the spool, so a worker stores a message that was submitted over
 * HTTP, and shows the content of a waiting message. The API keeps the request as a row and notifies the worker over its
 * change queue. The notification holds a revision that the worker already has, so the worker looks for requests
 * instead. It fetches the request, carries it out and answers:
 * - `GET /v1/worker/requests`
 * - `GET /v1/worker/requests/{id}`
 * - `GET|POST /v1/worker/requests/{id}/chunks/{n}`: bytes of the message
 * - `POST /v1/worker/requests/{id}/answer`
 * The response to each report gives the number of requests, so a lost notification delays a request only by seconds.
 */

/**
 * Size of one chunk in bytes. A message travels between API and worker in chunks, so that no request and no row is
 * large.
 */
export const chunkBytes = 512 * 1024

const envelope = {
  /** Empty: the null sender. */
  sender: z.union([z.literal(''), mailAddressSchema]).default(''),
  recipients: z.array(mailAddressSchema).min(1).max(1000),
  /** RFC 3461 §4.1, for all recipients. `never` excludes other values. Absent: notify of failure and delay. */
  notify: z
    .array(notifySchema)
    .min(1)
    .refine((all) => all.length === 1 || !all.includes('never'), {
      error: 'never cannot be combined with other values',
    })
    .optional(),
  /** RFC 3461 §4.3: how much of the message a DSN returns. */
  ret: z.enum(['full', 'hdrs']).optional(),
  /** RFC 3461 §4.4: the sender's own identifier for the message, repeated in DSNs. */
  envid: z
    .string()
    .min(1)
    .max(100)
    .regex(/^[\x20-\x7e]+$/, { error: 'must be printable ASCII' })
    .optional(),
}
export const submissionSchema = z.strictObject({
  ...envelope,
  /** RFC 5322. Lines may end in LF. For bytes that are not UTF-8 use `messageBase64`, or send `message/rfc822`. */
  message: z.string().min(1).optional(),
  messageBase64: z.string().min(4).refine(isBase64, { error: 'must be base64 (RFC 4648 §4), padded' }).optional(),
})
export type Submission = z.output<typeof submissionSchema>

/** The envelope for a body of `message/rfc822`, in the query string. Recipients are separated by commas. */
export const submissionQuerySchema = z.strictObject({
  sender: z.string().max(320).optional(),
  recipients: z.string().max(400_000).optional(),
  /** Separated by commas. */
  notify: z.string().max(100).optional(),
  ret: z.string().max(10).optional(),
  envid: z.string().max(100).optional(),
})
export const submissionEnvelopeSchema = z.strictObject(envelope)

/** Checks without a regular expression over the whole text, which may be 100 MB. */
function isBase64(text: string): boolean {
  const end = text.endsWith('==') ? text.length - 2 : text.endsWith('=') ? text.length - 1 : text.length
  return text.length % 4 === 0 && !/[^A-Za-z0-9+/]/.test(end === text.length ? text : text.slice(0, end))
}

const submitRequestSchema = z.object({
  kind: z.literal('submit'),
  id: z.string(),
  /** The id that the message gets. It identifies a repeated request. */
  messageId: z.string().length(36),
  sender: z.string(),
  recipients: z.array(z.string()),
  notify: envelope.notify,
  ret: envelope.ret,
  envid: envelope.envid,
  /** Where the API keeps the message, and in how many chunks. Chunks are numbered from 0 and fetched one by one. */
  bundle: z.string(),
  chunks: z.number().int().nonnegative(),
  /** Only return the answers for the recipients; store nothing. */
  dryRun: z.boolean().optional(),
  /** The submitter and the origin of the request, for the trace. */
  by: z.string(),
  address: z.string().optional(),
})
const contentRequestSchema = z.object({
  kind: z.literal('content'),
  id: z.string(),
  messageId: z.string().length(36),
  /** Maximum number of bytes wanted, from the beginning. */
  most: z.number().int().positive(),
})
export const workerRequestSchema = z.discriminatedUnion('kind', [submitRequestSchema, contentRequestSchema])
export type WorkerRequest = z.infer<typeof workerRequestSchema>
export type SubmitRequest = z.infer<typeof submitRequestSchema>
export type ContentRequest = z.infer<typeof contentRequestSchema>

export const workerRequestAnswerSchema = z.discriminatedUnion('outcome', [
  /** The message is durable in the spool. */
  z.strictObject({ outcome: z.literal('stored') }),
  /** A rule refused the message; nothing was stored. `path`: the part of the submission that it refused. */
  z.strictObject({
    outcome: z.literal('refused'),
    path: z.string().max(100),
    rule: z.string().max(100),
    reply: z.string().max(600),
  }),
  /** The message, or its beginning, was handed over in this number of chunks. `octets` is the size of the whole message. */
  z.strictObject({
    outcome: z.literal('found'),
    chunks: z.number().int().nonnegative(),
    octets: z.number().int().nonnegative(),
  }),
  /** This worker has no such waiting message. */
  z.strictObject({ outcome: z.literal('absent') }),
  z.strictObject({ outcome: z.literal('failed'), because: z.string().max(300) }),
])
export type WorkerRequestAnswer = z.infer<typeof workerRequestAnswerSchema>

export const workerRequestListSchema = z.object({ ids: z.array(z.string()) })
