import { afterEach, expect, it, vi } from 'vitest'
import { periodically } from './periodic.ts'

afterEach(() => void vi.useRealTimers())

it('continues after a failed run, and stops only when the last run has ended', async () => {
  vi.useFakeTimers()
  const turns: PromiseWithResolvers<void>[] = []
  const failures: unknown[] = []
  const work = () => {
    const turn = Promise.withResolvers<void>()
    turns.push(turn)
    return turn.promise
  }
  const periodic = periodically(1_000, work, (error) => failures.push(error))
  await vi.advanceTimersByTimeAsync(999)
  expect(turns).toHaveLength(0)
  await vi.advanceTimersByTimeAsync(1)
  expect(turns).toHaveLength(1)
  // One run after another, however long each takes.
  await vi.advanceTimersByTimeAsync(60_000)
  expect(turns).toHaveLength(1)
  turns[0]?.reject(new Error('the first'))
  await vi.advanceTimersByTimeAsync(1_000)
  expect(turns).toHaveLength(2)
  let isStopped = false
  const stopped = periodic.stop().then(() => {
    isStopped = true
  })
  await vi.advanceTimersByTimeAsync(60_000)
  expect(isStopped).toBe(false)
  turns[1]?.resolve()
  await stopped
  await vi.advanceTimersByTimeAsync(60_000)
  expect(turns).toHaveLength(2)
  expect(failures.map(String)).toEqual(['Error: the first'])
})
