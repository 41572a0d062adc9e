import type { ServiceName } from '@postern/contract/services.ts'
import type { WorkerReport } from '@postern/contract/worker-protocol.ts'
import { sql } from 'drizzle-orm'
import type { Queries } from '../database.ts'

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

export async function putReport(
  queries: Queries,
  { id, report, now }: { id: string; report: WorkerReport; now: number },
): Promise<void> {
  await queries.run(sql`
    insert into workers (id, service, enrolled_at, heartbeat_at, report)
    values (${id}, ${report.service}, ${now}, ${now}, ${JSON.stringify(report)})
    on conflict (id) do update set service = excluded.service, heartbeat_at = excluded.heartbeat_at, report = excluded.report`)
}

export async function deleteWorker(queries: Queries, id: string): Promise<void> {
  await queries.run(sql`update workers set service = '', report = null where id = ${id}`)
}
