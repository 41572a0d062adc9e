import { z } from 'zod'
import { authenticationSchema } from './mailauth.ts'

/**
 * The envelope of a message: its sender, its recipients, and what the server promised to the client. It never holds
 * content.
 */

/** RFC 3461 §4.1: the outcomes for which the sender wants a delivery status notification. */
export const notifySchema = z.enum(['never', 'success', 'failure', 'delay'])

export const recipientSchema = z.object({
  /** The delivery address: canonical (lower-case ASCII domain), after aliases, groups and delimiters are resolved. */
  address: z.string().min(3).max(320),
  /** The address in RCPT TO. */
  original: z.string().min(1).max(320),
  /**
   * The host, or host:port, that receives mail for this recipient instead of its domain's route
   * (`general.defaultMailHost`). The address does not change.
   */
  via: z.string().max(260).optional(),
  /** The account that forwards the message to this address. */
  forwardedBy: z.string().max(320).optional(),
  /** ORCPT (RFC 3461 §4.2) as received, xtext decoded; absent when the client sent none. */
  orcpt: z.string().max(500).optional(),
  notify: z.array(notifySchema).optional(),
})
export type Recipient = z.infer<typeof recipientSchema>

export const envelopeSchema = z.object({
  /** uuidv7, lower case. */
  id: z.string().length(36),
  /** Time of the end of data, in milliseconds since the epoch. */
  receivedAt: z.number().int().nonnegative(),
  /** The worker that accepted responsibility for the message, e.g. `smtp-1`. */
  worker: z.string().min(1).max(64),
  /** The settings revision used for the transaction's decisions. */
  revision: z.number().int().nonnegative(),
  /**
   * `smtp`: sent by a client. `dsn`: written by the Queue Manager. `report`: the daily report. `api`: submitted over
   * HTTP.
   */
  origin: z.enum(['smtp', 'dsn', 'report', 'api']),
  /** The MAIL FROM address; empty for the null sender (RFC 5321 §4.5.5). */
  sender: z.string().max(320),
  recipients: z.array(recipientSchema).min(1),
  /** As people read it. */
  subject: z.string().max(200).optional(),
  /** RFC 6152: whether the body may hold bytes above 127. */
  body: z.enum(['7bit', '8bitmime']),
  smtpUtf8: z.boolean(),
  /**
   * RFC 8689: deliver only over TLS with a certificate valid for the next host, and only to a host that offers
   * REQUIRETLS. Absent: not requested.
   */
  requireTls: z.boolean().optional(),
  /** RFC 3461 §4.3 and §4.4. */
  ret: z.enum(['full', 'hdrs']).optional(),
  envid: z.string().max(100).optional(),
  /** Number of Received headers at acceptance (RFC 5321 §6.3). */
  hops: z.number().int().nonnegative(),
  client: z.object({
    ip: z.string(),
    helo: z.string().max(255),
    login: z.string().optional(),
    tls: z.object({ version: z.string(), cipher: z.string() }).optional(),
  }),
  /** Authentication checks to run before delivery. Absent: none. */
  authentication: authenticationSchema.optional(),
  /**
   * Set if a rule held the message on arrival. The message waits until it is released. The reason is shown to the
   * operator.
   */
  hold: z.string().optional(),
})
export type Envelope = z.infer<typeof envelopeSchema>
