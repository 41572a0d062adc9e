import { orderActionSchema, orderSchema, queueFilterSchema } from '@postern/contract/orders.ts'
import {
  booksSchema,
  messageViewSchema,
  page,
  queueDoctorSchema,
  queueItemSchema,
  queueSummarySchema,
  recordedEventSchema,
  writeResultSchema,
} from '@postern/contract/views.ts'
import { submissionQuerySchema, submissionSchema } from '@postern/contract/worker-requests.ts'
import { z } from 'zod'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { pageQuery } from '../pagination.ts'
import { readBooks, readStats } from '../verbs/books.ts'
import { readEvents, streamEvents } from '../verbs/events.ts'
import { readContent, submitMessage } from '../verbs/messages.ts'
import { orderForMessage, orderForQueue, readMessage, readQueue, readSummary, runQueue } from '../verbs/queue.ts'
import { readQueueDoctor } from '../verbs/queue-doctor.ts'

const time = z.iso.datetime({ offset: true })
const action = orderActionSchema.exclude(['run'])
const to = orderSchema.shape.to
const id = z.string().length(36)
const ordered = writeResultSchema.extend({
  matched: z.number().int().optional(),
  orderIds: z.array(z.string()).optional(),
})
const eventQuery = z.strictObject({
  type: z.string().max(1000).optional(),
  worker: z.string().max(100).optional(),
  messageId: id.optional(),
  since: time.optional(),
  until: time.optional(),
})
const spanQuery = z.strictObject({
  since: time.optional(),
  until: time.optional(),
  stepMinutes: z.coerce.number().int().min(1).max(1440).default(60),
  worker: z.string().max(100).optional(),
})
const point = z.object({
  at: z.string(),
  messages: z.number(),
  received: z.number(),
  delivered: z.number(),
  deferred: z.number(),
  bounced: z.number(),
  discarded: z.number(),
  refused: z.number(),
  loginFailures: z.number(),
})

export const queueRoutes: Endpoint[] = [
  endpoint({
    method: 'get',
    path: '/v1/queue',
    scope: 'viewer',
    tag: 'Queue',
    summary: 'Messages in the queue, oldest first',
    query: pageQuery.extend(queueFilterSchema.shape),
    answer: page(queueItemSchema),
    handle: (call, { query }) => readQueue(call, query),
  }),
  endpoint({
    method: 'get',
    path: '/v1/queue/summary',
    scope: 'viewer',
    tag: 'Queue',
    summary: 'Queue summary: number of messages, top domains and top causes',
    answer: queueSummarySchema,
    handle: (call) => readSummary(call),
  }),
  endpoint({
    method: 'get',
    path: '/v1/queue/doctor',
    scope: 'viewer',
    tag: 'Queue',
    summary: 'Why mail waits: waiting messages by recipient domain and cause',
    answer: queueDoctorSchema,
    handle: (call) => readQueueDoctor(call),
  }),
  endpoint({
    method: 'post',
    path: '/v1/queue/actions',
    scope: 'operator',
    tag: 'Queue',
    summary: 'Act on all matching messages',
    body: z.strictObject({ action, filter: queueFilterSchema, to, dryRun: z.boolean().optional() }),
    write: true,
    status: 202,
    answer: ordered,
    handle: (call, { body: { action, to, filter, dryRun } }) => {
      const write = dryRun ? { ...call.write, dryRun, idempotency: undefined } : call.write
      return orderForQueue({ ...call, write }, { action, to }, filter)
    },
  }),
  endpoint({
    method: 'post',
    path: '/v1/queue/run',
    scope: 'operator',
    tag: 'Queue',
    summary: 'Try all waiting messages now',
    write: true,
    status: 202,
    answer: ordered,
    handle: (call) => runQueue(call),
  }),
  endpoint({
    method: 'get',
    path: '/v1/messages/{id}',
    scope: 'viewer',
    tag: 'Queue',
    summary: 'Envelope, state, attempts and trace of a message',
    params: z.object({ id }),
    answer: messageViewSchema,
    handle: (call, { params }) => readMessage(call, params.id),
  }),
  endpoint({
    method: 'get',
    path: '/v1/messages/{id}/content',
    alsoAnswers: {
      410: 'The message has left the queue, so its content is gone.',
      503: 'No Queue Manager is available. Try again later.',
    },
    scope: 'operator',
    tag: 'Queue',
    summary: 'Download a waiting message. The audit log records each download',
    params: z.object({ id }),
    answer: 'message/rfc822',
    handle: (call, { params }) => readContent(call, params.id),
  }),
  endpoint({
    method: 'post',
    path: '/v1/messages',
    alsoAnswers: {
      202: 'Accepted, but not yet stored by a worker.',
      503: 'No worker is available. Nothing was stored.',
    },
    scope: 'operator',
    tag: 'Queue',
    summary:
      'Submit a message of up to general.maxMessageBytes. 201: stored durably. 202: no worker has taken it yet. ' +
      'As JSON, or as message/rfc822 with sender and recipients (separated by commas) in the query. ' +
      'A missing Date or Message-ID is added. Bcc is removed',
    query: submissionQuerySchema,
    body: submissionSchema,
    streams: ['message/rfc822'],
    write: true,
    status: 201,
    answer: z.object({ id: z.string(), state: z.enum(['accepted', 'pending']), revision: z.number().int() }),
    handle: (call, { query }, request) => submitMessage(call, request, query),
  }),
  endpoint({
    method: 'post',
    path: '/v1/messages/{id}/{action}',
    alsoAnswers: { 409: 'The message is no longer in the queue.' },
    scope: 'operator',
    tag: 'Queue',
    summary: 'Act on a message',
    params: z.object({ id, action }),
    body: z.strictObject({ to }).partial(),
    write: true,
    status: 202,
    answer: ordered,
    handle: (call, { params, body }) => orderForMessage(call, params.id, { action: params.action, to: body.to }),
  }),
]

export const eventRoutes: Endpoint[] = [
  endpoint({
    method: 'get',
    path: '/v1/events',
    scope: 'viewer',
    tag: 'Records',
    summary: 'Events, newest first. q searches their text',
    query: pageQuery.extend(eventQuery.shape),
    answer: page(recordedEventSchema),
    handle: (call, { query }) => readEvents(call, query),
  }),
  endpoint({
    method: 'get',
    path: '/v1/events/stream',
    scope: 'viewer',
    tag: 'Records',
    summary: 'Stream new events (server-sent events). Resume with Last-Event-ID',
    query: eventQuery,
    answer: 'text/event-stream',
    handle: (call, { query }, request) => streamEvents(call, query, request.headers.get('last-event-id') ?? undefined),
  }),
  endpoint({
    method: 'get',
    path: '/v1/books',
    scope: 'viewer',
    tag: 'Records',
    summary: 'The books, in recipients: received = delivered + bounced + discarded + queued',
    query: spanQuery,
    answer: booksSchema,
    handle: (call, { query }) => readBooks(call, query),
  }),
  endpoint({
    method: 'get',
    path: '/v1/stats',
    scope: 'viewer',
    tag: 'Records',
    summary: 'Counts over time',
    query: spanQuery,
    answer: z.object({ stepMinutes: z.number().int(), points: z.array(point) }),
    handle: (call, { query }) => readStats(call, query),
  }),
]
