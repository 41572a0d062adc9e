import { z } from 'zod'
import { authenticationSchema } from './mailauth.ts'

/** What makes a message's journey: who sent it, who gets it, and what was promised to the client. Never its content. */

/** RFC 3461 §4.1: on which outcomes the sender wants a delivery status notification. */
export const notifySchema = z.enum(['never', 'success', 'failure', 'delay'])

export const recipientSchema = z.object({
  /** Where the message goes: canonical (lower-case ASCII domain), after aliases, groups and delimiters. */
  address: z.string().min(3).max(320),
  /** What the client said in RCPT TO. */
  original: z.string().min(1).max(320),
  /** The host, or host:port, that takes this recipient instead of its domain's route (`general.defaultMailHost`); the address stays. */
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
  /** Milliseconds since the epoch, when the end of data was seen. */
  receivedAt: z.number().int().nonnegative(),
  /** The worker that took responsibility for the message, e.g. `smtp-1`. */
  worker: z.string().min(1).max(64),
  /** The settings revision the transaction was decided under. */
  revision: z.number().int().nonnegative(),
  /** `smtp`: a client sent it. `dsn`: the Queue Manager wrote it. `report`: the daily report. `api`: submitted over HTTP. */
  origin: z.enum(['smtp', 'dsn', 'report', 'api']),
  /** MAIL FROM; empty for the null sender (RFC 5321 §4.5.5). */
  sender: z.string().max(320),
  recipients: z.array(recipientSchema).min(1),
  /** RFC 6152: whether the body may hold octets above 127. */
  body: z.enum(['7bit', '8bitmime']),
  smtpUtf8: z.boolean(),
  /** RFC 8689: over TLS that names the next host truly, or not at all; never handed on without REQUIRETLS. Absent: not asked for. */
  requireTls: z.boolean().optional(),
  /** RFC 3461 §4.3 and §4.4. */
  ret: z.enum(['full', 'hdrs']).optional(),
  envid: z.string().max(100).optional(),
  /** Received headers counted at acceptance (RFC 5321 §6.3). */
  hops: z.number().int().nonnegative(),
  client: z.object({
    ip: z.string(),
    helo: z.string().max(255),
    login: z.string().optional(),
    tls: z.object({ version: z.string(), cipher: z.string() }).optional(),
  }),
  /** What is to be found out about where it comes from, before it is delivered. Absent: nothing. */
  authentication: authenticationSchema.optional(),
  /** Held on arrival by a rule: it waits until it is released. The reason is shown to the operator. */
  hold: z.string().optional(),
})
export type Envelope = z.infer<typeof envelopeSchema>
