import { parseBlock } from '@postern/contract/ip-address.ts'
import { orderActionSchema, orderSchema, queueFilterSchema } from '@postern/contract/orders.ts'
import {
  booksSchema,
  loggedMessageSchema,
  messageViewSchema,
  page,
  queueDoctorSchema,
  queueItemSchema,
  queueSummarySchema,
  recordedEventSchema,
  writeResultSchema,
} from '@postern/contract/views.ts'
import { submissionQuerySchema, submissionSchema } from '@postern/contract/worker-requests.ts'
import { type CountedColumn, countedColumns } from '@postern/log/columns.ts'
import { messageOutcomes } from '@postern/log/messages.ts'
import { z } from 'zod'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { pageQuery } from '../pagination.ts'
import { readBooks, readStats } from '../verbs/books.ts'
import { streamEvents } from '../verbs/event-stream.ts'
import { exportEvents, readEvents, readSeries, readTop } from '../verbs/events.ts'
import { findMessages } from '../verbs/find-messages.ts'
import { readContent, submitMessage } from '../verbs/messages.ts'
import { orderForMessage, orderForQueue, readMessage, readQueue, readSummary, runQueue } from '../verbs/queue.ts'
import { readQueueDoctor } from '../verbs/queue-doctor.ts'
import { reconcileQueue } from '../verbs/queue-mirror.ts'

const time = z.iso.datetime({ offset: true })
const action = orderActionSchema.exclude(['run'])
const to = orderSchema.shape.to
const id = z.string().length(36)
const ordered = writeResultSchema.extend({
  matched: z.number().int().optional(),
  orderIds: z.array(z.string()).optional(),
})
const text = z.string().max(320)
const codePattern = /^([2-5]\d\d|[245]\.\d{1,3}\.\d{1,3})$/
/** The filters of the log. All of them must match. */
const eventFilters = {
  since: time.optional(),
  until: time.optional(),
  type: z
    .string()
    .max(1000)
    .optional()
    .meta({ description: 'Event types, or beginnings such as delivery., separated by commas' }),
  level: z.enum(['normal', 'verbose', 'debug']).optional().meta({ description: 'Events of this log level' }),
  worker: z.string().max(100).optional(),
  message: id.optional().meta({ description: 'The id of a message' }),
  sender: text.optional().meta({ description: 'An address; empty for the null sender' }),
  recipient: text.optional().meta({ description: 'An address, as in RCPT TO or after aliases' }),
  domain: text.optional().meta({ description: 'The domain of a recipient' }),
  client: z
    .string()
    .refine((text) => parseBlock(text) !== null, 'must be an IP address or a CIDR block')
    .optional(),
  login: text.optional(),
  rule: z.string().max(100).optional(),
  reason: z.string().max(100).optional(),
  code: z
    .string()
    .regex(codePattern, 'must be a reply code such as 550 or an enhanced status code such as 5.7.1')
    .optional(),
  q: z.string().max(4096).optional().meta({ description: 'Words that must all occur in the event, in any case' }),
}
const streamQuery = z.strictObject(eventFilters).pick({ type: true, level: true, worker: true, message: true, q: true })
const countedColumn = z.enum(countedColumns as [CountedColumn, ...CountedColumn[]])
const searched = {
  /** The search has looked at everything from here to `until`. */
  searchedBackTo: z.string(),
  /** `false` if the time for the search ran out before it was done. */
  complete: z.boolean(),
}
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
    method: 'post',
    path: '/v1/queue/reconcile',
    scope: 'operator',
    tag: 'Queue',
    summary: 'Have the Queue Managers tell again what waits, within seconds. Nothing is tried or removed',
    write: true,
    status: 202,
    answer: ordered,
    handle: (call) => reconcileQueue(call),
  }),
  endpoint({
    method: 'get',
    path: '/v1/messages',
    scope: 'viewer',
    tag: 'Queue',
    summary: 'Search messages, waiting and finished, and mail that was refused; newest first',
    query: pageQuery.extend({
      since: time.optional(),
      until: time.optional(),
      sender: eventFilters.sender,
      recipient: eventFilters.recipient,
      subject: text.optional().meta({ description: 'A part of the subject' }),
      client: eventFilters.client,
      outcome: z.enum(messageOutcomes).optional(),
      q: eventFilters.q,
    }),
    answer: page(loggedMessageSchema).extend(searched),
    handle: (call, { query }) => findMessages(call, query),
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
    summary: 'Search the log, newest events first',
    query: pageQuery.extend(eventFilters),
    answer: page(recordedEventSchema).extend(searched),
    handle: (call, { query }) => readEvents(call, query),
  }),
  endpoint({
    method: 'get',
    path: '/v1/events/top',
    scope: 'viewer',
    tag: 'Records',
    summary: 'Count events by the values of a column, most frequent first',
    query: z.strictObject({
      ...eventFilters,
      by: countedColumn,
      limit: z.coerce.number().int().min(1).max(1000).default(20),
    }),
    answer: z.object({
      items: z.array(z.object({ value: z.union([z.string(), z.number()]), count: z.number().int() })),
      ...searched,
    }),
    handle: (call, { query }) => readTop(call, query),
  }),
  endpoint({
    method: 'get',
    path: '/v1/events/series',
    scope: 'viewer',
    tag: 'Records',
    summary: 'Count events over time, in all or by the most frequent values of a column',
    query: z.strictObject({
      ...eventFilters,
      by: countedColumn.optional(),
      stepMinutes: z.coerce.number().int().min(1).max(1440).default(60),
    }),
    answer: z.object({
      items: z.array(
        z.object({
          at: z.string(),
          /** `null`: all values beyond the most frequent ones. */
          value: z.union([z.string(), z.number(), z.null()]).optional(),
          count: z.number().int(),
        }),
      ),
      ...searched,
    }),
    handle: (call, { query }) => readSeries(call, query),
  }),
  endpoint({
    method: 'get',
    path: '/v1/events/export',
    scope: 'viewer',
    tag: 'Records',
    summary: 'Download all matching events',
    query: z.strictObject({ ...eventFilters, format: z.enum(['ndjson', 'csv', 'parquet']).default('ndjson') }),
    answer: 'application/x-ndjson',
    alsoMedia: ['text/csv', 'application/vnd.apache.parquet'],
    handle: async (call, { query }) => exportEvents(call, query),
  }),
  endpoint({
    method: 'get',
    path: '/v1/events/stream',
    scope: 'viewer',
    tag: 'Records',
    summary: 'Stream new events (server-sent events). Resume with Last-Event-ID',
    query: streamQuery,
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
