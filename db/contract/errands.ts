import { z } from 'zod'
import { mailAddressSchema } from './address.ts'

/**
 * What the API asks of a worker because only a worker has the spool: to store a message that was submitted over HTTP, and
 * to show the content of one that waits. The API keeps the errand as a row, nudges the worker over its change queue (a
 * revision it has already: nothing new, so it looks for errands), and the worker fetches it, does it and answers:
 * `GET /v1/worker/errands`, `GET /v1/worker/errands/{id}`, `POST /v1/worker/errands/{id}/answer`. The report's answer says
 * how many there are, so a nudge that was lost costs seconds.
 */

/** Octets of a message that is submitted or shown: what a function's request may hold, base64 and all. */
export const mostErrandOctets = 4 * 1024 * 1024

export const submissionSchema = z.strictObject({
  /** Empty: the null sender. */
  sender: z.union([z.literal(''), mailAddressSchema]).default(''),
  recipients: z.array(mailAddressSchema).min(1).max(1000),
  /** RFC 5322. Lines may end in LF. For octets that are not UTF-8 use `messageBase64`. */
  message: z.string().min(1).max(mostErrandOctets).optional(),
  messageBase64: z
    .base64()
    .min(4)
    .max((mostErrandOctets / 3) * 4)
    .optional(),
})
export type Submission = z.output<typeof submissionSchema>

const submitErrand = z.object({
  kind: z.literal('submit'),
  id: z.string(),
  /** The id the message gets: done twice, it is recognised. */
  messageId: z.string().length(36),
  sender: z.string(),
  recipients: z.array(z.string()),
  messageBase64: z.string(),
  /** Who submits, and from where: for the trace. */
  by: z.string(),
  address: z.string().optional(),
})
const contentErrand = z.object({ kind: z.literal('content'), id: z.string(), messageId: z.string().length(36) })
export const errandSchema = z.discriminatedUnion('kind', [submitErrand, contentErrand])
export type Errand = z.infer<typeof errandSchema>
export type SubmitErrand = z.infer<typeof submitErrand>

export const errandAnswerSchema = z.discriminatedUnion('outcome', [
  /** It lies in the spool, durable. */
  z.strictObject({ outcome: z.literal('stored') }),
  /** A rule is against it; nothing was stored. `path`: which part of the submission. */
  z.strictObject({
    outcome: z.literal('refused'),
    path: z.string().max(100),
    rule: z.string().max(100),
    reply: z.string().max(600),
  }),
  /** The beginning of the message, at most `mostErrandOctets`, and how many octets it has. */
  z.strictObject({ outcome: z.literal('found'), base64: z.string(), octets: z.number().int().nonnegative() }),
  /** This worker has no such message waiting. */
  z.strictObject({ outcome: z.literal('absent') }),
  z.strictObject({ outcome: z.literal('failed'), because: z.string().max(300) }),
])
export type ErrandAnswer = z.infer<typeof errandAnswerSchema>

export const errandListSchema = z.object({ ids: z.array(z.string()) })
