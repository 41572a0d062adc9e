import type { WorkerView } from '@postern/contract/views.ts'
import { expect, test } from 'vitest'
import { rolloutOf } from './rollout.ts'

const worker = (id: string, revision: number, more: Partial<WorkerView> = {}): WorkerView => ({
  id,
  service: 'smtp',
  version: '0.1.0',
  pid: 1,
  observed: 'running',
  live: true,
  revision,
  otherHistory: false,
  lag: 0,
  sessions: 0,
  listeners: [],
  eventsUnsent: 0,
  startedAt: '2026-01-01T00:00:00Z',
  heartbeatAt: '2026-01-01T00:00:00Z',
  ...more,
})

test('a later revision counts', () => {
  expect(rolloutOf(7, [worker('a', 7), worker('b', 9)])).toMatchObject({ on: 2, of: 2, done: true })
})
test('the same number of another history does not count', () => {
  const rollout = rolloutOf(7, [worker('a', 7, { otherHistory: true }), worker('b', 7)])
  expect(rollout).toMatchObject({ on: 1, of: 2, done: false, behind: ['a'] })
})
test('behind, refused and silent are told apart', () => {
  const refusal = { refused: { revision: 7, error: 'no' } }
  const rollout = rolloutOf(7, [
    worker('a', 7),
    worker('b', 6),
    worker('c', 6, refusal),
    worker('d', 1, { live: false }),
  ])
  expect(rollout).toEqual({
    on: 1,
    of: 3,
    done: false,
    refused: [{ id: 'c', error: 'no', inForce: 6 }],
    silent: ['d'],
    behind: ['b'],
  })
})
test('no worker at all is not done', () => {
  expect(rolloutOf(7, []).done).toBe(false)
})
