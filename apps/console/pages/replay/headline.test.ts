import type { Replay } from '@postern/contract/replay.ts'
import { expect, test } from 'vitest'
import { headlineOf, notKnownOf } from './headline.ts'

const job: Replay = {
  id: '1',
  state: 'done',
  progress: { sessions: 100, of: 100 },
  since: '2026-11-29T00:00:00Z',
  until: '2026-11-30T00:00:00Z',
  revision: 7,
  dropped: 0,
  withoutVerdict: [],
  sessions: 100,
  changedVerdicts: 0,
}
const unknown = {
  notKnown: { sessions: 62, answers: 62 },
  notAnswerable: [{ rule: 'helo', fact: 'helo', sessions: 62, answers: 62 }],
}

test('what is not known is said before what would change', () => {
  expect(headlineOf({ ...job, ...unknown })).toBe('62 verdicts unknown, 0 verdicts would change')
  expect(notKnownOf({ ...job, ...unknown })).toEqual([
    'In 62 of 100 sessions (62 %), the result of helo is unknown, because the facts were not recorded.',
  ])
  expect(headlineOf({ ...job, changedVerdicts: 1 })).toBe('1 verdict would change')
  expect(notKnownOf(job)).toEqual([])
  expect(headlineOf({ ...job, sessions: 0 })).toBe('No sessions were recorded in this period')
})

test('sessions that were not recorded, or cannot be read, are not known either', () => {
  expect(notKnownOf({ ...job, dropped: 17, unreadable: 1 })).toHaveLength(2)
  const few = { ...unknown, sessions: 10_000, notKnown: { sessions: 1, answers: 1 } }
  expect(notKnownOf({ ...job, ...few })[0]).toContain('(less than 1 %)')
})
