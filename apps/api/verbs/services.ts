import {
  type DesiredService,
  type ObservedState,
  type ServiceName,
  serviceNames,
  services,
} from '@postern/contract/services.ts'
import type { ServiceView, WorkerView, WriteResult } from '@postern/contract/views.ts'
import { headRevision, knownRevisions, revisionAt } from '@postern/store/control/revisions.ts'
import { getRow } from '@postern/store/control/rows.ts'
import { isLive, listWorkers, type WorkerRow } from '@postern/store/records/workers.ts'
import type { Dependencies } from '../dependencies.ts'
import { iso } from '../pagination.ts'
import { type Call, writeRevision } from '../write-revision.ts'

export type ServiceAction = 'start' | 'stop' | 'restart'

/**
 * Writes the desired state of one or more services. A restart sets the service to running and increases its generation.
 */
export function actOnServices(call: Call, names: readonly ServiceName[], action: ServiceAction): Promise<WriteResult> {
  const about = { action: `service.${action}`, kind: 'service', entity: names.join(', ') }
  return writeRevision(call, about, async (changeSet) => {
    for (const name of names) {
      const before = (await changeSet.get('service', name))?.value ?? { desired: 'running', generation: 0 }
      await changeSet.put('service', name, desiredAfter(before, action))
    }
    return {}
  })
}

function desiredAfter({ desired, generation }: DesiredService, action: ServiceAction): DesiredService {
  switch (action) {
    case 'start':
      return { desired: 'running', generation: desired === 'running' ? generation : generation + 1 }
    case 'stop':
      return { desired: 'stopped', generation }
    case 'restart':
      return { desired: 'running', generation: generation + 1 }
  }
}

export async function readServices({ parts }: Call): Promise<ServiceView[]> {
  const workers = await readWorkers(parts)
  return Promise.all(serviceNames.map((name) => viewOf(parts, name, workers)))
}

export async function readService({ parts }: Call, name: ServiceName): Promise<ServiceView> {
  return viewOf(parts, name, await readWorkers(parts))
}

async function viewOf(parts: Dependencies, name: ServiceName, all: WorkerView[]): Promise<ServiceView> {
  const row = await getRow(parts.control, 'service', name)
  const { desired, generation } = JSON.parse(row?.value ?? '{"desired":"running","generation":0}') as DesiredService
  const workers = all.filter(({ service }) => service === name)
  const live = workers.filter((worker) => worker.live)
  const { title } = services[name]
  const version = live[0]?.version ?? parts.version
  return { name, title, version, desired, generation, observed: observedOf(desired, live), workers }
}

/**
 * Combines the states of all workers into the worst one. A service that should run but has no live worker is degraded.
 */
function observedOf(desired: DesiredService['desired'], live: WorkerView[]): ObservedState {
  if (live.length === 0) return desired === 'running' ? 'degraded' : 'stopped'
  const states = new Set(live.map(({ observed }) => observed))
  if (states.size === 1) return live[0]?.observed ?? 'degraded'
  for (const state of ['degraded', 'stopping', 'starting'] as const) if (states.has(state)) return state
  return desired === 'running' ? 'starting' : 'stopping'
}

/** Returns every worker that has reported and has not been removed, live or not. */
export async function readWorkers(parts: Dependencies): Promise<WorkerView[]> {
  const now = parts.now()
  const rows = await listWorkers(parts.records)
  const names = rows.flatMap(({ report }) =>
    report?.revisionId ? [{ revision: report.revision, id: report.revisionId }] : [],
  )
  const [due, head, known] = await Promise.all([
    revisionAt(parts.control, now - onItsWayMs),
    headRevision(parts.control),
    knownRevisions(parts.control, names),
  ])
  return rows.flatMap((row) => workerView(row, { due, head, known, now }) ?? [])
}

/** A revision may take this long to reach a worker before the worker counts as behind. */
const onItsWayMs = 2_000

type Now = { due: number; head: number; known: ReadonlySet<string>; now: number }

function workerView(
  { id, service, heartbeatAt, report }: WorkerRow,
  { due, head, known, now }: Now,
): WorkerView | undefined {
  if (!report) return undefined
  const otherHistory = !!report.revisionId && !known.has(report.revisionId)
  const { version, pid, observed, detail, revision, refused, sessions, listeners, eventsUnsent, waiting, startedAt } =
    report
  return {
    id,
    service,
    version,
    pid,
    observed,
    live: isLive({ heartbeatAt }, now),
    ...(detail === undefined ? {} : { detail }),
    revision,
    otherHistory,
    lag: otherHistory ? Math.max(1, head - revision) : due > revision ? head - revision : 0,
    ...(refused ? { refused } : {}),
    sessions,
    listeners,
    eventsUnsent,
    ...(waiting ? { waiting: { messages: waiting.messages, recipients: waiting.recipients } } : {}),
    startedAt,
    heartbeatAt: iso(heartbeatAt),
  }
}
