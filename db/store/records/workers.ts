import type { WorkerMetricName } from '@postern/contract/metrics.ts'
import type { ServiceName } from '@postern/contract/services.ts'
import type { WorkerReport } from '@postern/contract/worker-protocol.ts'
import { sql } from 'drizzle-orm'
import type { Database, Queries } from '../database.ts'

/** The last report of each worker. */
export type WorkerRow = {
  id: string
  service: ServiceName
  heartbeatAt: number
  report: WorkerReport | undefined
}

/** A worker that has not reported for longer is not live. */
const liveForMs = 20_000

/** A report time in the future is from before the clock was set back. */
export function isLive({ heartbeatAt }: Pick<WorkerRow, 'heartbeatAt'>, now: number): boolean {
  return Math.abs(now - heartbeatAt) <= liveForMs
}

type RawWorker = Omit<WorkerRow, 'report'> & { report: string | null }

export async function listWorkers(queries: Queries): Promise<WorkerRow[]> {
  const found = await queries.all<RawWorker>(
    sql`select id, service, heartbeat_at as heartbeatAt, report from workers where service <> '' order by id`,
  )
  return found.map((worker) => ({
    ...worker,
    report: worker.report ? (JSON.parse(worker.report) as WorkerReport) : undefined,
  }))
}

export async function enrolWorker(
  queries: Queries,
  { id, service, now }: { id: string; service: ServiceName; now: number },
): Promise<void> {
  await queries.run(sql`
    insert into workers (id, service, enrolled_at, heartbeat_at) values (${id}, ${service}, ${now}, 0)
    on conflict (id) do update set service = excluded.service, enrolled_at = excluded.enrolled_at`)
}

/**
 * Stores a report, and adds to the books what the worker counted since its last one. A worker that was started since
 * counts from 0.
 */
export async function putReport(
  database: Database,
  { id, report, now }: { id: string; report: WorkerReport; now: number },
): Promise<void> {
  const counted = (names: readonly string[]) => names.reduce((sum, name) => sum + (report.metrics?.[name] ?? 0), 0)
  const before = (names: readonly string[]) =>
    sql.join(
      names.map((name) => sql`coalesce(w.report ->> ${`$.metrics.${name}`}, 0)`),
      sql` + `,
    )
  const added = (names: readonly string[]) => sql`max(0, ${counted(names)} - iif(w.same, ${before(names)}, 0))`
  const minute = now - (now % 60_000)
  await database.batch([
    database.run(sql`
      insert into books (minute, worker, deferred, refused, login_failures)
      select ${minute}, ${id}, deferred, refused, failed from (
        select ${added(countedNames.deferred)} as deferred, ${added(countedNames.refused)} as refused,
          ${added(countedNames.loginFailures)} as failed
        from (select report, coalesce(report ->> '$.startedAt' = ${report.startedAt} and report ->> '$.pid' = ${report.pid}, 0)
          as same from (select 1) left join workers on id = ${id}) w)
      where deferred + refused + failed > 0
      on conflict (minute, worker) do update set deferred = books.deferred + excluded.deferred,
        refused = books.refused + excluded.refused, login_failures = books.login_failures + excluded.login_failures`),
    database.run(sql`
      insert into workers (id, service, enrolled_at, heartbeat_at, report)
      values (${id}, ${report.service}, ${now}, ${now}, ${JSON.stringify(report)})
      on conflict (id) do update set service = excluded.service, heartbeat_at = excluded.heartbeat_at, report = excluded.report`),
  ])
}

/** What workers count since their start (db/contract/metrics.ts), by column of the books. */
const countedNames = {
  deferred: ['queue_deferred_total'],
  refused: ['sessions_refused_total', 'commands_refused_total', 'messages_refused_total'],
  loginFailures: ['auth_failed_total'],
} satisfies Record<string, WorkerMetricName[]>

export async function deleteWorker(queries: Queries, id: string): Promise<void> {
  await queries.run(sql`update workers set service = '', report = null where id = ${id}`)
}
