import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Metrics } from '../parts.ts'

export function makeMetrics(): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'postern_api_' })
  const seconds = new Histogram({
    name: 'postern_api_request_seconds',
    help: 'Time to answer, by route, method and status.',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10],
    registers: [registry],
  })
  return {
    contentType: registry.contentType,
    observe: ({ method, route, status, seconds: took }) =>
      seconds.observe({ method, route, status: String(status) }, took),
    text: async (workers) => {
      const sums = new Registry()
      for (const [name, value] of Object.entries(workers))
        new Gauge({ name: `postern_${name}`, help: 'Sum over live workers.', registers: [sums] }).set(value)
      return `${await registry.metrics()}\n${await sums.metrics()}`
    },
  }
}
