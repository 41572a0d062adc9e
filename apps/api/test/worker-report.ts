import type { ServiceName } from '@postern/contract/services.ts'
import type { WorkerReport } from '@postern/contract/worker-protocol.ts'

/** For tests: what a worker reports that runs and has nothing to do. */
export function workerReport(service: ServiceName, more: Partial<WorkerReport> = {}): WorkerReport {
  return {
    service,
    version: '0.1.0',
    pid: 4,
    startedAt: new Date().toISOString(),
    observed: 'running',
    revision: 1,
    generation: 0,
    sessions: 0,
    listeners: [],
    eventsUnsent: 0,
    ...more,
  }
}
