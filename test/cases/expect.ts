import { expect } from 'vitest'
import type { Case } from './case.ts'
import { turnsOf } from './dialogue.ts'
import type { Decided } from './doors.ts'

/** Expects the verdicts and replies of the case. */
export function expectThat(one: Case, decided: Decided[]): void {
  const turns = turnsOf(one).filter(({ stage }) => stage !== null)
  expect(decided.map(({ stage }) => stage)).toEqual(turns.map(({ stage }) => stage))
  for (const [i, { says, expects }] of turns.entries())
    expect(`${says} → ${decided[i]?.reply.slice(0, expects.length)}`, JSON.stringify(decided[i])).toBe(
      `${says} → ${expects}`,
    )
  const { trail, ...verdict } = one.verdict
  expect(decided.at(-1)).toMatchObject(verdict)
  for (const [rule, said] of Object.entries(trail ?? {}))
    expect(decided.at(-1)?.trail.find((step) => step.rule === rule)?.said).toBe(said)
}
