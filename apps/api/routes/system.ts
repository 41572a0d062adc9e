import type { WorkerStateMetric } from '@postern/contract/metrics.ts'
import { rfcSchema, rfcs } from '@postern/contract/rfcs.ts'
import type { WorkerReport } from '@postern/contract/worker-protocol.ts'
import { headRevision } from '@postern/store/control/revisions.ts'
import { booksTotal } from '@postern/store/records/books.ts'
import { storedUpTo } from '@postern/store/records/ingest.ts'
import { isLive, listWorkers } from '@postern/store/records/workers.ts'
import { z } from 'zod'
import type { Dependencies, MetricsSnapshot } from '../dependencies.ts'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { ProblemError } from '../problem.ts'
import { balanceOf } from '../verbs/books.ts'
import { readWorkers } from '../verbs/services.ts'

const tag = 'System'

export const systemRoutes: Endpoint[] = [
  endpoint({
    method: 'get',
    path: '/v1/rfcs',
    scope: 'self',
    tag,
    summary: 'Supported SMTP RFCs, with the tests for each',
    answer: z.object({ items: z.array(rfcSchema) }),
    handle: async () => ({ items: rfcs }),
  }),
  endpoint({
    method: 'get',
    path: '/healthz',
    scope: 'public',
    tag,
    summary: 'Check that the process answers',
    answer: z.object({ status: z.literal('ok'), version: z.string() }),
    handle: async ({ parts }) => ({ status: 'ok', version: parts.version }),
  }),
  endpoint({
    method: 'get',
    path: '/readyz',
    alsoAnswers: { 503: 'A database does not answer.' },
    scope: 'public',
    tag,
    summary: 'Check that both databases answer',
    answer: z.object({ status: z.literal('ready') }),
    handle: async ({ parts }) => {
      try {
        await Promise.all([headRevision(parts.control), storedUpTo(parts.records, '', '')])
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
    summary: 'Metrics of the API and of each worker, as Prometheus text',
    answer: 'text/plain',
    handle: async ({ parts }) =>
      new Response(await parts.metrics.text(await snapshotOf(parts)), {
        headers: { 'content-type': parts.metrics.contentType },
      }),
  }),
]

async function snapshotOf(parts: Dependencies): Promise<MetricsSnapshot> {
  const { control, records, now } = parts
  const revision = await headRevision(control)
  const lags = new Map((await readWorkers(parts)).map(({ id, lag }) => [id, lag]))
  const workers = (await listWorkers(records)).map(({ id, service, heartbeatAt, report }) => {
    const live = isLive({ heartbeatAt }, now())
    return {
      worker: id,
      service,
      state: { worker_up: live ? 1 : 0, ...(live && report ? stateOf(report, lags.get(id) ?? 0) : {}) },
      reported: live ? (report?.metrics ?? {}) : {},
    }
  })
  const total = await booksTotal(records)
  return { revision, duplicates: total.duplicates, balance: balanceOf(total), workers }
}

function stateOf(report: WorkerReport, lag: number): Partial<Record<WorkerStateMetric, number>> {
  return {
    worker_running: report.observed === 'running' ? 1 : 0,
    worker_sessions: report.sessions,
    worker_revision: report.revision,
    worker_lag_revisions: lag,
    worker_refused_revision: report.refused ? 1 : 0,
    worker_events_unsent: report.eventsUnsent,
    ...(report.waiting
      ? { queued_messages: report.waiting.messages, queued_recipients: report.waiting.recipients }
      : {}),
  }
}
