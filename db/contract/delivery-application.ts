import { z } from 'zod'
import { mailAddressSchema } from './address.ts'
import type { Listener } from './facts.ts'
import type { Lookups } from './lookups.ts'

/**
 * The delivery application, `advanced.deliveryApplication`: the question about a message and the possible answers. The
 * question is a POST with a `multipart/form-data` body of two parts: `envelope` (application/json, an
 * `ApplicationQuestion`) and `message` (message/rfc822, as received from the client).
 */
export type ApplicationQuestion = {
  /** The message id, as in the message's events, its trace and the 250 reply. */
  id: string
  /** RFC 3339 UTC. */
  receivedAt: string
  /** This server's name. */
  server: string
  /** The settings revision in force. */
  revision: number
  /** The MAIL FROM address; empty for the null sender. */
  sender: string
  /** Recipients after aliases and groups are expanded; `original` is the RCPT TO address. */
  recipients: readonly { address: string; original: string }[]
  /** Size of the message in bytes. */
  size: number
  client: { ip: string; helo: string; listener: Listener; login?: string; tls?: { version: string; cipher: string } }
  /** Look-up results about the client and the message, as far as the settings request them. */
  lookups: Lookups
}

/** Maximum size of an answer in bytes. */
export const maxAnswered = 65_536

/** Header fields that control how a message is read, that show its origin, or that may occur only once. */
const reservedFields = new Set(
  'received return-path delivered-to authentication-results arc-seal arc-message-signature arc-authentication-results dkim-signature content-type content-transfer-encoding content-disposition content-id mime-version from sender reply-to to cc bcc message-id in-reply-to references subject date'.split(
    ' ',
  ),
)

const header = z
  .strictObject({
    name: z
      .string()
      .max(76)
      .regex(/^[A-Za-z][A-Za-z0-9-]*$/, { message: 'must be letters, digits and hyphens, e.g. X-Spam-Score' })
      .refine((name) => !reservedFields.has(name.toLowerCase()), { message: 'is a field that must not be added' }),
    value: z
      .string()
      .max(900)
      .regex(/^[\x20-\x7e]*$/, {
        message: 'must be one line of printable ASCII (encode other characters as RFC 2047 encoded words)',
      }),
  })
  .readonly()
const headers = z.array(header).max(50).default([])
const reason = z
  .string()
  .max(300)
  .regex(/^[^\p{C}\u2028\u2029]*$/u, { message: 'must be one printable line' })
  .optional()

/** The answer: JSON, with status 200. Any other response counts as no answer. */
export const applicationAnswerSchema = z.discriminatedUnion('action', [
  z.strictObject({ action: z.literal('accept'), headers }),
  /** The client receives `550 5.7.1 Message refused: <reason>`. */
  z.strictObject({ action: z.literal('reject'), reason }),
  /** Accepted with 250; the message waits in the queue until an operator releases it. */
  z.strictObject({ action: z.literal('hold'), reason, headers }),
  /** Accepted with 250; these addresses replace the message's recipients. */
  z.strictObject({ action: z.literal('redirect'), to: z.array(mailAddressSchema).min(1).max(100), headers }),
])
