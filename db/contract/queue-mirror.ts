import { z } from 'zod'
import { waitingCauseNames } from './waiting-causes.ts'

/**
 * `POST /v1/worker/queue`: a Queue Manager tells the API what waits in its queue, and how many recipients it has counted.
 * The API keeps a copy of it. A message that is delivered at once is counted, but never told.
 *
 * A page has the current state of messages, never a difference, so that it may be sent twice. `from` and `to` are
 * positions in the Queue Manager's list of changes. If `from` is not the position that the API has, it answers 409, and
 * the Queue Manager tells everything again in pages with `all`. Until the last of them, the API keeps what it had.
 */

const id = z.string().length(36)
const count = z.number().int().nonnegative()
/** Milliseconds since the epoch. */
const time = z.number().int().nonnegative()

const waitingRecipientSchema = z.strictObject({
  address: z.string().max(320),
  original: z.string().max(320),
  /** Failed attempts so far. */
  attempts: count,
  /** The last reply or error. */
  lastReply: z.string().max(500).optional(),
  /** As in `delivery.deferred`. */
  cause: z.string().max(100).optional(),
  waitingCause: z.enum(waitingCauseNames).optional(),
  nextTryAt: time.optional(),
})

export const waitingMessageSchema = z.strictObject({
  id,
  /** The worker that accepted it. */
  worker: z.string().max(64),
  receivedAt: time,
  sender: z.string().max(320),
  size: count,
  subject: z.string().max(500).optional(),
  origin: z.string().max(20),
  client: z.looseObject({ ip: z.string().max(64) }).optional(),
  revision: count,
  /** Who or what holds it; absent: nobody. */
  hold: z.string().max(500).optional(),
  /** Those that wait. */
  recipients: z.array(waitingRecipientSchema).min(1),
})
export type WaitingMessage = z.infer<typeof waitingMessageSchema>

/**
 * What a Queue Manager has counted since `since`, in recipients: received = delivered + bounced + discarded + waiting, in
 * every transaction of its index. `messages` counts messages received.
 */
export const queueCountsSchema = z.strictObject({
  /** Changes when counting starts again at 0. */
  id: count,
  since: time,
  messages: count,
  received: count,
  delivered: count,
  bounced: count,
  discarded: count,
  waiting: count,
})
export type QueueCounts = z.infer<typeof queueCountsSchema>

export const queuePageSchema = z.strictObject({
  /** Of the queue index: positions of another index mean nothing. */
  incarnation: count,
  from: count,
  to: count,
  /** Everything that waits is told again: `run` is the same for all of its pages, `page` counts from 0. */
  all: z.strictObject({ run: count, page: count, last: z.boolean() }).optional(),
  waiting: z.array(waitingMessageSchema).max(20_000),
  /** Messages that do not wait any more. */
  gone: z.array(id).max(20_000),
  /** Present if nothing is left to tell after this page: of the same moment as the rows. */
  counts: queueCountsSchema.optional(),
})
export type QueuePage = z.infer<typeof queuePageSchema>

/** The API has everything up to this position. */
export const queuePageResponseSchema = z.object({ position: count })

/** A page is cut before it has more bytes than this. A message is never cut. */
export const queuePageBytes = 2 * 1024 * 1024
