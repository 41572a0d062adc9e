import { z } from 'zod'
import { domainSchema } from './address.ts'
import { hostSchema, portSchema } from './network.ts'

/** What an operator asks of queued messages. An order is a row like any setting: it is numbered, audited, and cannot get lost. */

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

export const orderSchema = z.object({
  action: orderActionSchema,
  /** The messages it is for; absent only for `run`, which tries everything that waits now. */
  messageIds: z.array(z.string().length(36)).max(10_000).optional(),
  /** For `run`: only what waits for this recipient domain. */
  domain: domainSchema.optional(),
  /** For `reroute`. */
  to: z.object({ host: hostSchema, port: portSchema.default(25) }).optional(),
  orderedBy: z.string(),
  orderedAt: z.iso.datetime(),
})
export type Order = z.infer<typeof orderSchema>
