import { expect, it } from 'vitest'
import { findBlock } from './address-blocks.ts'
import { compilePolicy, compileSteps } from './compile.ts'
import { exampleReplica, noon } from './test/example.ts'

/** Control Access under attack: entries come many times a second, and the list is not read again each time. */

const created = { createdBy: 'system:harvesting', createdAt: '2026-11-22T00:00:00Z' }
const changed = new Set(['control-access'] as const)
const address = (i: number) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`

function attacked(count: number) {
  const replica = exampleReplica()
  const add = (from: number, to: number) => {
    for (let i = from; i < to; i++)
      replica['control-access'].set(`${i}`, {
        value: address(i),
        action: 'deny',
        expiresAt: '2026-11-22T13:00:00Z',
        ...created,
      })
  }
  add(0, count)
  return { replica, add }
}

it('a successor adds to the table, and the policy before does not see it', () => {
  const { replica, add } = attacked(3)
  const previous = compilePolicy(replica, 1)
  add(3, 5)
  replica['control-access'].set('block', { value: '10.0.0.0/24', action: 'deny', ...created })
  const next = compilePolicy(replica, 2, { previous, changed })
  expect(next.controlAccess.table).toBe(previous.controlAccess.table)
  expect(findBlock(next.controlAccess, address(4), noon)).toMatchObject({ value: address(4), automatic: true })
  expect(findBlock(next.controlAccess, '10.0.0.200', noon)?.value).toBe('10.0.0.0/24')
  for (const ip of [address(4), '10.0.0.200']) expect(findBlock(previous.controlAccess, ip, noon)).toBeUndefined()
  expect(findBlock(previous.controlAccess, address(2), noon)).toBeDefined()
})

it('two successors of one policy do not meet', () => {
  const { replica, add } = attacked(1)
  const previous = compilePolicy(replica, 1)
  add(1, 2)
  const one = compilePolicy(replica, 2, { previous, changed })
  replica['control-access'].delete('1')
  add(2, 3)
  const two = compilePolicy(replica, 2, { previous, changed })
  const sees = (policy: typeof one) =>
    [1, 2].map((i) => findBlock(policy.controlAccess, address(i), noon) !== undefined)
  expect([sees(one), sees(two)]).toEqual([
    [true, false],
    [false, true],
  ])
})

it('is made anew when an entry went or is another', () => {
  for (const change of ['delete', 'set'] as const) {
    const { replica } = attacked(3)
    const previous = compilePolicy(replica, 1)
    if (change === 'delete') replica['control-access'].delete('0')
    else replica['control-access'].set('0', { value: '192.0.2.1', ...created })
    const next = compilePolicy(replica, 2, { previous, changed })
    expect(next.controlAccess.table).not.toBe(previous.controlAccess.table)
    expect(next).toEqual(compilePolicy(replica, 2))
    expect(findBlock(next.controlAccess, address(0), noon)).toBeUndefined()
  }
})

it('one that cannot be read leaves the list before as it was', () => {
  const { replica, add } = attacked(2)
  const previous = compilePolicy(replica, 1)
  replica['control-access'].set('bad', { value: 'nonsense', ...created })
  expect(() => compilePolicy(replica, 2, { previous, changed })).toThrow('"nonsense"')
  replica['control-access'].delete('bad')
  add(2, 3)
  const next = compilePolicy(replica, 3, { previous, changed })
  expect(findBlock(next.controlAccess, address(2), noon)).toBeDefined()
})

it('of 80 000 entries forty revisions of 500 more are added in small steps to one table', () => {
  const { replica, add } = attacked(80_000)
  const first = compilePolicy(replica, 1)
  let policy = first
  const lengths: number[] = []
  for (let revision = 2; revision <= 41; revision++) {
    add(80_000 + (revision - 2) * 500, 80_000 + (revision - 1) * 500)
    const steps = compileSteps(replica, revision, { previous: policy, changed })
    for (let step = timed(steps, lengths); ; step = timed(steps, lengths)) {
      if (!step.done) continue
      policy = step.value
      break
    }
  }
  expect(policy.controlAccess.table).toBe(first.controlAccess.table)
  expect(policy.controlAccess.size).toBe(100_000)
  expect(findBlock(policy.controlAccess, address(99_999), noon)).toBeDefined()
  expect(findBlock(first.controlAccess, address(99_999), noon)).toBeUndefined()
  expect(lengths.length).toBeGreaterThan(40 * 80)
  // Orientation, no judgement: the machine may be busy.
  const sum = lengths.reduce((all, one) => all + one, 0)
  console.log(
    `40 revisions: ${sum.toFixed(0)} ms in ${lengths.length} steps, the longest ${Math.max(...lengths).toFixed(1)} ms`,
  )
})

function timed(steps: ReturnType<typeof compileSteps>, lengths: number[]) {
  const began = performance.now()
  const step = steps.next()
  lengths.push(performance.now() - began)
  return step
}
