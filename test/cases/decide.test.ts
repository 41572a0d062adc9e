import { rulesNeverWatched } from '@postern/contract/rules.ts'
import { describe, expect, it } from 'vitest'
import { stages } from '../../workers/policy/stages.ts'
import { casesOnDisk } from './case.ts'
import { decideInProcess } from './doors.ts'
import { expectThat } from './expect.ts'
import { casesOfTheOrder, order, withoutProvocation } from './order.ts'

/** Runs every case through the decision only. A unit test, because no other process runs. */

const made = casesOfTheOrder()
const cases = [...casesOnDisk(), ...made]

it('every rule of the check order has a row in provocations.ts', () => {
  expect(withoutProvocation).toEqual([])
})

describe('decide', () => {
  it.each(cases.map((one) => [`${one.number} ${one.name}`, one] as const))('%s', (_, one) => {
    const decided = decideInProcess(one)
    expectThat(one, decided)
    const last = decided.at(-1)
    const names = last ? stages[last.stage].map(({ name }) => name) : []
    const asked =
      last?.rule === 'accept' ? [...names, 'accept'] : names.slice(0, names.indexOf(last?.rule as never) + 1)
    expect(last?.trail.map(({ rule }) => rule)).toEqual(asked)
  })
})

describe('a watched rule says what it would have decided', () => {
  /** Each case has its own client. */
  const sentences = (name: string, said: string) => {
    const one = made.find((each) => each.name.startsWith(name))
    const steps = one ? decideInProcess(one).flatMap(({ trail }) => trail.filter((step) => step.said === said)) : []
    return new Map(steps.map(({ rule, because }) => [rule, because?.replaceAll(one?.ip ?? '', 'the client')]))
  }
  const watched = order.filter(({ rule }) => !(rulesNeverWatched as readonly string[]).includes(rule))

  it.each(watched)('$stage: $rule', ({ stage, rule }) => {
    const because = sentences(`${stage}: ${rule} decides`, 'decided').get(rule)
    expect(because).toBeTruthy()
    expect(sentences(`${stage}: ${rule} is watched`, 'watched').get(rule)).toBe(because)
  })
})
