import { z } from 'zod'
import { mailAddressSchema } from './address.ts'
import type { Listener } from './facts.ts'
import type { Lookups } from './lookups.ts'

/**
 * The delivery application, `advanced.deliveryApplication`: what it is asked about a message, and what it may answer.
 * It is asked by POST with a `multipart/form-data` body of two parts: `envelope` (application/json, an `ApplicationQuestion`)
 * and `message` (message/rfc822, as it came from the client).
 */
export type ApplicationQuestion = {
  /** The message's id: the same in its events, its trace and its 250. */
  id: string
  /** RFC 3339 UTC. */
  receivedAt: string
  /** This server's name. */
  server: string
  /** Settings revision in force. */
  revision: number
  /** MAIL FROM; empty for the null sender. */
  sender: string
  /** After aliases and groups; `original` is what RCPT TO said. */
  recipients: readonly { address: string; original: string }[]
  /** Octets of the message. */
  size: number
  client: { ip: string; helo: string; listener: Listener; login?: string; tls?: { version: string; cipher: string } }
  /** What others said about the client and the message, as far as settings ask them. */
  lookups: Lookups
}

/** Octets of an answer. */
export const maxAnswered = 65_536

/** Fields that say how a message is read, where it came from, or that may stand in it only once. */
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
      .refine((name) => !reservedFields.has(name.toLowerCase()), { message: 'is a field that may not be added' }),
    value: z
      .string()
      .max(900)
      .regex(/^[\x20-\x7e]*$/, { message: 'must be one line of printable ASCII (others as RFC 2047 encoded words)' }),
  })
  .readonly()
const headers = z.array(header).max(50).default([])
const reason = z
  .string()
  .max(300)
  .regex(/^[^\p{C}\u2028\u2029]*$/u, { message: 'must be one printable line' })
  .optional()

/** The answer, JSON, with status 200. Anything else counts as none. */
export const applicationAnswerSchema = z.discriminatedUnion('action', [
  z.strictObject({ action: z.literal('accept'), headers }),
  /** The client reads `550 5.7.1 Message refused: <reason>`. */
  z.strictObject({ action: z.literal('reject'), reason }),
  /** Accepted with 250; it waits in the queue until an operator releases it. */
  z.strictObject({ action: z.literal('hold'), reason, headers }),
  /** Accepted with 250; these get it in place of its recipients. */
  z.strictObject({ action: z.literal('redirect'), to: z.array(mailAddressSchema).min(1).max(100), headers }),
])
