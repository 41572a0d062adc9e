import { rfcSchema, rfcs } from '@postern/contract/rfcs.ts'
import { headRevision } from '@postern/store/control/revisions.ts'
import { lastSeq } from '@postern/store/records/events.ts'
import { listWorkers, liveForMs } from '@postern/store/records/workers.ts'
import { z } from 'zod'
import { type Endpoint, endpoint } from '../endpoint.ts'
import type { Parts } from '../parts.ts'
import { ProblemError } from '../problem.ts'
import { readWorkers } from '../verbs/services.ts'

const tag = 'System'

export const systemRoutes: Endpoint[] = [
  endpoint({
    method: 'get',
    path: '/v1/rfcs',
    scope: 'self',
    tag,
    summary: 'Supported SMTP RFCs, each with the tests that show it',
    answer: z.object({ items: z.array(rfcSchema) }),
    handle: async () => ({ items: rfcs }),
  }),
  endpoint({
    method: 'get',
    path: '/healthz',
    scope: 'public',
    tag,
    summary: 'The process answers',
    answer: z.object({ status: z.literal('ok'), version: z.string() }),
    handle: async ({ parts }) => ({ status: 'ok', version: parts.version }),
  }),
  endpoint({
    method: 'get',
    path: '/readyz',
    scope: 'public',
    tag,
    summary: 'Both databases answer',
    answer: z.object({ status: z.literal('ready') }),
    handle: async ({ parts }) => {
      try {
        await Promise.all([headRevision(parts.control), lastSeq(parts.records)])
      } catch {
        throw new ProblemError(503, 'A database does not answer.')
      }
      return { status: 'ready' }
    },
  }),
  endpoint({
    method: 'get',
    path: '/metrics',
    scope: 'public',
    tag,
    summary: 'Prometheus text: the API, and sums over live workers',
    answer: 'text/plain',
    handle: async ({ parts }) =>
      new Response(await parts.metrics.text(await sumsOf(parts)), {
        headers: { 'content-type': parts.metrics.contentType },
      }),
  }),
]

async function sumsOf(parts: Parts): Promise<Record<string, number>> {
  const all = await listWorkers(parts.records)
  const live = all.filter(({ heartbeatAt }) => parts.now() - heartbeatAt <= liveForMs)
  const head = await headRevision(parts.control)
  const sums: Record<string, number> = { revision: head, workers_live: live.length }
  sums.workers_behind = (await readWorkers(parts)).filter(({ live, lag }) => live && lag > 0).length
  const add = (name: string, value: number) => {
    sums[name] = (sums[name] ?? 0) + value
  }
  for (const { report } of live) {
    if (!report) continue
    add('sessions', report.sessions)
    add('events_unsent', report.eventsUnsent)
    if (report.waiting) add('queued_messages', report.waiting.messages)
    for (const [name, value] of Object.entries(report.metrics ?? {})) add(name, value)
  }
  return sums
}
