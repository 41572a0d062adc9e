import { simulateRequestSchema, simulationSchema } from '@postern/contract/simulation.ts'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { simulate } from '../verbs/simulate.ts'

export const simulateRoutes: Endpoint[] = [
  endpoint({
    method: 'post',
    path: '/v1/simulate',
    scope: 'viewer',
    tag: 'What would happen',
    summary:
      'What would be decided about a session at each stage, and why: by the saved settings, or with a draft on top',
    body: simulateRequestSchema,
    answer: simulationSchema,
    handle: (call, { body }) => simulate(call, body),
  }),
]
