import { offenceBatchResponseSchema, offenceBatchSchema } from '@postern/contract/offences.ts'
import { queuePageResponseSchema, queuePageSchema } from '@postern/contract/queue-mirror.ts'
import {
  enrolRequestSchema,
  enrolResponseSchema,
  etrnRequestSchema,
  eventBatchQuerySchema,
  eventBatchResponseSchema,
  eventLogSchema,
  factBatchQuerySchema,
  revisionIdSchema,
  workerReportResponseSchema,
  workerReportSchema,
} from '@postern/contract/worker-protocol.ts'
import {
  workerRequestAnswerSchema,
  workerRequestListSchema,
  workerRequestSchema,
} from '@postern/contract/worker-requests.ts'
import { z } from 'zod'
import { type Endpoint, endpoint } from '../endpoint.ts'
import type { TokenKeys } from '../identity/keys.ts'
import { ProblemError } from '../problem.ts'
import { eventsStored, takeEvents } from '../verbs/event-batches.ts'
import { takeOffences } from '../verbs/offences.ts'
import { runForDomain } from '../verbs/queue.ts'
import { takeQueuePage } from '../verbs/queue-mirror.ts'
import { listWorkerRequests, readChunk, readWorkerRequest, takeAnswer, takeChunk } from '../verbs/worker-requests.ts'
import { changes, enrol, report, snapshot, takeFacts, workerOf } from '../verbs/workers.ts'

const requestId = z.object({ id: z.string().max(100) })
const chunk = requestId.extend({ n: z.string().regex(/^\d{1,4}$/) })

export function workerRoutes(keys: TokenKeys): Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: '/v1/worker/enrol',
      alsoAnswers: { 401: 'The enrolment token is not valid.' },
      scope: 'public',
      tag: 'For workers',
      summary: 'Exchange an enrolment token for an access token',
      body: enrolRequestSchema,
      bodyLimit: 16_384,
      answer: enrolResponseSchema,
      handle: (call, { body }) => enrol(call, keys, body),
    }),
    endpoint({
      method: 'get',
      path: '/v1/worker/snapshot',
      scope: 'worker',
      tag: 'For workers',
      summary: 'All rows that the service needs (NDJSON)',
      answer: 'application/x-ndjson',
      handle: (call) => snapshot(call, workerOf(call).service),
    }),
    endpoint({
      method: 'get',
      path: '/v1/worker/changes',
      alsoAnswers: { 410: 'The revision is not in this history, or is too old. Fetch a snapshot.' },
      scope: 'worker',
      tag: 'For workers',
      summary: 'Rows changed since a revision (NDJSON)',
      query: z.strictObject({ after: z.coerce.number().int().min(0), id: revisionIdSchema.optional() }),
      answer: 'application/x-ndjson',
      handle: (call, { query }) => changes(call, workerOf(call).service, { revision: query.after, id: query.id }),
    }),
    endpoint({
      method: 'post',
      path: '/v1/worker/report',
      scope: 'worker',
      tag: 'For workers',
      summary: 'Report heartbeat and state',
      body: workerReportSchema,
      bodyLimit: 262_144,
      answer: workerReportResponseSchema,
      handle: (call, { body }) => report(call, body),
    }),
    endpoint({
      method: 'get',
      path: '/v1/worker/requests',
      scope: 'worker',
      tag: 'For workers',
      summary: 'List the open requests for this worker',
      answer: workerRequestListSchema,
      handle: (call) => listWorkerRequests(call),
    }),
    endpoint({
      method: 'get',
      path: '/v1/worker/requests/{id}',
      scope: 'worker',
      tag: 'For workers',
      summary: 'Read a request',
      params: requestId,
      answer: workerRequestSchema,
      handle: (call, { params }) => readWorkerRequest(call, params.id),
    }),
    endpoint({
      method: 'get',
      path: '/v1/worker/requests/{id}/chunks/{n}',
      scope: 'worker',
      tag: 'For workers',
      summary: 'Read a chunk of the message to store',
      params: chunk,
      answer: 'application/octet-stream',
      handle: (call, { params }) => readChunk(call, params.id, Number(params.n)),
    }),
    endpoint({
      method: 'post',
      path: '/v1/worker/requests/{id}/chunks/{n}',
      scope: 'worker',
      tag: 'For workers',
      summary: 'Send a chunk of the message to show',
      params: chunk,
      streams: ['application/octet-stream'],
      status: 204,
      answer: z.null(),
      handle: (call, { params }, request) => takeChunk(call, { id: params.id, n: Number(params.n) }, request),
    }),
    endpoint({
      method: 'post',
      path: '/v1/worker/requests/{id}/answer',
      scope: 'worker',
      tag: 'For workers',
      summary: 'Answer a request',
      params: requestId,
      body: workerRequestAnswerSchema,
      bodyLimit: 16_384,
      status: 204,
      answer: z.null(),
      handle: (call, { params, body }) => takeAnswer(call, params.id, body),
    }),
    endpoint({
      method: 'post',
      path: '/v1/worker/etrn',
      scope: 'worker',
      tag: 'For workers',
      summary: 'Try the mail waiting for a domain now (RFC 1985)',
      body: etrnRequestSchema,
      bodyLimit: 4096,
      answer: z.object({}),
      handle: async (call, { body }) => {
        if (workerOf(call).service !== 'smtp')
          throw new ProblemError(403, 'Only workers of the service smtp may do this.')
        await runForDomain(call, body)
        return {}
      },
    }),
    endpoint({
      method: 'get',
      path: '/v1/worker/events',
      scope: 'worker',
      tag: 'For workers',
      summary: 'How far storage has a log of this worker',
      query: eventLogSchema,
      answer: eventBatchResponseSchema,
      handle: (call, { query }) => eventsStored(call, query.log),
    }),
    endpoint({
      method: 'post',
      path: '/v1/worker/events',
      scope: 'worker',
      tag: 'For workers',
      alsoAnswers: { 503: 'The log store does not take it now. Send it again.' },
      summary: 'Send a batch of events (NDJSON, compressed with zstd)',
      query: eventBatchQuerySchema,
      streams: ['application/zstd'],
      answer: eventBatchResponseSchema,
      handle: (call, { query }, request) => takeEvents(call, query, request),
    }),
    endpoint({
      method: 'post',
      path: '/v1/worker/queue',
      alsoAnswers: { 409: 'The API has another position; tell everything again.' },
      scope: 'worker',
      tag: 'For workers',
      summary: 'Tell what waits in the queue, and how many recipients were counted',
      body: queuePageSchema,
      bodyLimit: 16 * 1024 * 1024,
      answer: queuePageResponseSchema,
      handle: (call, { body }) => takeQueuePage(call, body),
    }),
    endpoint({
      method: 'post',
      path: '/v1/worker/facts',
      scope: 'worker',
      tag: 'For workers',
      summary: 'Send a batch of session facts for the replay (NDJSON, compressed with zstd)',
      query: factBatchQuerySchema,
      streams: ['application/zstd'],
      status: 204,
      answer: z.undefined(),
      handle: (call, { query }, request) => takeFacts(call, query, request),
    }),
    endpoint({
      method: 'post',
      path: '/v1/worker/offences',
      scope: 'worker',
      tag: 'For workers',
      summary: 'Report offences of clients. The response lists the addresses that are now blocked',
      body: offenceBatchSchema,
      bodyLimit: 4 * 1024 * 1024,
      answer: offenceBatchResponseSchema,
      handle: (call, { body }) => takeOffences(call, body.offences),
    }),
  ]
}
