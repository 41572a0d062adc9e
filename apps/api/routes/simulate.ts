import { replayRequestSchema, replaySchema } from '@postern/contract/replay.ts'
import { simulateRequestSchema, simulationSchema } from '@postern/contract/simulation.ts'
import { z } from 'zod'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { readReplay, replay } from '../verbs/replay.ts'
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
  endpoint({
    method: 'post',
    path: '/v1/replay',
    alsoAnswers: { 429: 'Too many replays are running already. Try again when one is done.' },
    scope: 'viewer',
    tag: 'What would happen',
    summary:
      'Which verdicts about recorded sessions a draft would change, with examples; waits for the end up to waitSeconds',
    body: replayRequestSchema,
    answer: replaySchema,
    handle: (call, { body }) => replay(call, body),
  }),
  endpoint({
    method: 'get',
    path: '/v1/replay/{id}',
    scope: 'viewer',
    tag: 'What would happen',
    summary: 'Read the progress and the result of a replay',
    params: z.object({ id: z.string().length(36) }),
    answer: replaySchema,
    handle: (call, { params }) => readReplay(call, params.id),
  }),
]
