import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { QueueRuns } from './queue-runs.ts'

describe('runs of the queue that clients ask for', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('the first is ordered at once; those soon after are one more, when the rest is over', async () => {
    const orders: string[] = []
    const runs = new QueueRuns(async (domain) => void orders.push(domain))
    for (let i = 0; i < 5; i++) await runs.ask('a.test', 'ann')
    await runs.ask('b.test', 'ann')
    expect(orders).toEqual(['a.test', 'b.test'])
    await vi.advanceTimersByTimeAsync(10_000)
    expect(orders).toEqual(['a.test', 'b.test', 'a.test'])
    await vi.advanceTimersByTimeAsync(60_000)
    expect(orders).toHaveLength(3)
    await runs.ask('a.test', 'ann')
    expect(orders).toHaveLength(4)
  })

  it('one that could not be ordered is asked for anew', async () => {
    let isAway = true
    const runs = new QueueRuns(async () => {
      if (isAway) throw new Error('the API is away')
    })
    await expect(runs.ask('a.test', 'ann')).rejects.toThrow('away')
    isAway = false
    await runs.ask('a.test', 'ann')
  })
})
