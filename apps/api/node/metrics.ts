import { type WorkerMetricName, workerMetrics, workerStateMetrics } from '@postern/contract/metrics.ts'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Metrics, MetricsSnapshot } from '../dependencies.ts'

const labelNames = ['service', 'worker'] as const

export function makeMetrics(): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'postern_api_' })
  // These gauges have the name of a counter. The per-type metrics without `_total` hold the same data.
  for (const name of ['handles', 'requests', 'resources'])
    registry.removeSingleMetric(`postern_api_nodejs_active_${name}_total`)
  const seconds = new Histogram({
    name: 'postern_api_request_seconds',
    help: 'Response time in seconds, by route, method and status.',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10],
    registers: [registry],
  })
  return {
    contentType: registry.contentType,
    observe: ({ method, route, status, seconds: took }) =>
      seconds.observe({ method, route, status: String(status) }, took),
    text: async (snapshot) => `${await registry.metrics()}\n${await workersIn(snapshot).metrics()}`,
  }
}

/** Builds the metrics from the current snapshot, so that removed workers leave no series behind. */
function workersIn({ revision, duplicates, balance, workers }: MetricsSnapshot): Registry {
  const registry = new Registry()
  const registers = [registry]
  new Gauge({ name: 'postern_revision', help: 'Newest revision of the settings.', registers }).set(revision)
  const help = 'Recipients whose mail was delivered or returned more than once.'
  new Counter({ name: 'postern_duplicates_total', help, registers }).inc(duplicates)
  const balanceHelp =
    'Recipients received but neither delivered, bounced, discarded nor queued; 0 if the books balance.'
  new Gauge({ name: 'postern_books_balance', help: balanceHelp, registers }).set(balance)
  const states = Object.entries(workerStateMetrics).map(([name, help]) => {
    const gauge = new Gauge({ name: `postern_${name}`, help, labelNames, registers })
    return [name, gauge] as const
  })
  for (const { worker, service, state, reported } of workers) {
    for (const [name, gauge] of states) {
      const value = state[name as keyof typeof state]
      if (value !== undefined) gauge.set({ worker, service }, value)
    }
    for (const [name, value] of Object.entries(reported)) setReported(registry, name, { worker, service, value })
  }
  return registry
}

type Reported = { worker: string; service: string; value: number }

/** Metrics that this release does not know, from a worker of another release, keep their reported name. */
function setReported(registry: Registry, name: string, { worker, service, value }: Reported): void {
  const known = Object.hasOwn(workerMetrics, name) ? workerMetrics[name as WorkerMetricName] : undefined
  const type = known?.type ?? (name.endsWith('_total') ? 'counter' : 'gauge')
  const help = known?.help ?? `${name.replaceAll('_', ' ')}, as reported by workers of another release.`
  const full = `postern_${name}`
  const made = registry.getSingleMetric(full)
  const options = { name: full, help, labelNames, registers: [registry] }
  if (type === 'counter') {
    const counter = (made as Counter<'service' | 'worker'> | undefined) ?? new Counter(options)
    counter.inc({ worker, service }, Math.max(0, value))
  } else {
    const gauge = (made as Gauge<'service' | 'worker'> | undefined) ?? new Gauge(options)
    gauge.set({ worker, service }, value)
  }
}
