import { z } from 'zod'
import { domainSchema } from './address.ts'
import { hostSchema, portSchema } from './network.ts'

/**
 * Orders from operators about queued messages. An order is a row like any setting: it is numbered and audited, and it
 * cannot get lost.
 */

export const queueStates = ['active', 'deferred', 'held'] as const
export type QueueState = (typeof queueStates)[number]

export const orderActionSchema = z.enum(['hold', 'release', 'retry', 'bounce', 'delete', 'reroute', 'run'])
export type OrderAction = z.infer<typeof orderActionSchema>

export const queueFilterSchema = z.strictObject({
  state: z.enum(queueStates).optional(),
  /** Recipient domain. */
  domain: z.string().max(255).optional(),
  sender: z.string().max(320).optional(),
  recipient: z.string().max(320).optional(),
  /** Part of the last reply or error. */
  cause: z.string().max(200).optional(),
  olderThanMinutes: z.coerce.number().int().min(0).max(1_000_000).optional(),
})
export type QueueFilter = z.infer<typeof queueFilterSchema>

/** The daily report, as the API wrote it from its books. The Queue Manager turns it into a message. */
export const reportOrderSchema = z.object({
  /** The message id. It makes the order idempotent: the message is written once. */
  messageId: z.string().length(36),
  to: z.string().max(320),
  subject: z.string().max(200),
  /** Lines of plain ASCII, separated by LF. */
  text: z.string().max(20_000),
})
export type ReportOrder = z.infer<typeof reportOrderSchema>

export const orderSchema = z.object({
  /** Only the API creates `report`. */
  action: z.enum([...orderActionSchema.options, 'report']),
  /** The messages that the order applies to. Absent only for `run`, which tries everything that waits now. */
  messageIds: z.array(z.string().length(36)).max(10_000).optional(),
  /** For `run`: only messages that wait for this recipient domain. */
  domain: domainSchema.optional(),
  /** For `reroute`. */
  to: z.object({ host: hostSchema, port: portSchema.default(25) }).optional(),
  /** For `report`. */
  report: reportOrderSchema.optional(),
  /** The only Queue Manager that carries out the order. Absent: each does so for its own mail. */
  worker: z.string().max(64).optional(),
  orderedBy: z.string(),
  orderedAt: z.iso.datetime(),
})
export type Order = z.infer<typeof orderSchema>
