import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { periodically } from './periodic.ts'

it('goes on after a turn that failed, and stops only when the last turn has ended', async () => {
  let turns = 0
  let ended = 0
  const failures: unknown[] = []
  const work = async () => {
    turns++
    await sleep(30)
    ended++
    if (turns === 1) throw new Error('the first')
  }
  const it = periodically(1, work, (error) => failures.push(error))
  await expect.poll(() => turns).toBeGreaterThan(2)
  await it.stop()
  expect(ended).toBe(turns)
  const before = turns
  await sleep(50)
  expect(turns).toBe(before)
  expect(failures.map(String)).toEqual(['Error: the first'])
})
