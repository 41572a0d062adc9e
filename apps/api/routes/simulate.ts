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
    tag: 'Simulation and replay',
    summary:
      'Show the decision for a session at each stage, and the reasons, with the saved settings or with a draft applied',
    body: simulateRequestSchema,
    answer: simulationSchema,
    handle: (call, { body }) => simulate(call, body),
  }),
  endpoint({
    method: 'post',
    path: '/v1/replay',
    alsoAnswers: { 429: 'Too many replays are already running. Try again when one has finished.' },
    scope: 'viewer',
    tag: 'Simulation and replay',
    summary:
      'Replay recorded sessions with a draft and show which verdicts change, with examples. Waits up to waitSeconds for the result',
    body: replayRequestSchema,
    answer: replaySchema,
    handle: (call, { body }) => replay(call, body),
  }),
  endpoint({
    method: 'get',
    path: '/v1/replay/{id}',
    scope: 'viewer',
    tag: 'Simulation and replay',
    summary: 'Read the progress and the result of a replay',
    params: z.object({ id: z.string().length(36) }),
    answer: replaySchema,
    handle: (call, { params }) => readReplay(call, params.id),
  }),
]
