import { setImmediate as nextTurn } from 'node:timers/promises'
import { zstdDecompressSync } from 'node:zlib'
import { type FactBatch, factBatchQuerySchema } from '@postern/contract/worker-protocol.ts'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { FactLog, type FactLogOptions } from './fact-log.ts'

/** Storage as the API has it: what comes is a batch of the contract. */
function storage() {
  const batches: FactBatch[] = []
  const state: { away: boolean; refuses: number | undefined; silent: boolean; asked: number } = {
    away: false,
    refuses: undefined,
    silent: false,
    asked: 0,
  }
  const send = async (batch: FactBatch) => {
    state.asked++
    if (state.silent) await new Promise(() => {})
    if (state.away) throw new Error('away')
    if (state.refuses) throw Object.assign(new Error('refused'), { status: state.refuses })
    const { records, ...about } = batch
    batches.push({ ...factBatchQuerySchema.parse(about), records })
  }
  return { batches, state, send }
}

const linesOf = ({ records }: FactBatch) => zstdDecompressSync(records).toString().trimEnd().split('\n')
const sum = (batches: FactBatch[], what: 'sessions' | 'dropped') =>
  batches.reduce((total, batch) => total + batch[what], 0)

/** A busy machine compresses and parses for seconds. */
const patience = { timeout: 30_000 }

/** Waits without a timer: `expect.poll` would let time go by on the test's clock. */
async function when(holds: () => boolean): Promise<void> {
  while (!holds()) await nextTurn()
}

const opened: FactLog[] = []
afterEach(async () => {
  vi.useRealTimers()
  for (const log of opened.splice(0)) await log.close(10)
})
function factLog(options: FactLogOptions): FactLog {
  const log = new FactLog({ everyMs: 10, ...options })
  opened.push(log)
  return log
}

test('what is recorded reaches storage, in order, with its span of time', async () => {
  const { batches, send } = storage()
  const log = factLog({ send })
  for (const now of [2000, 1000, 3000]) log.record(`{"now":${now}}`, now)
  expect(log.waiting).toBe(3)
  await expect.poll(() => batches.length, patience).toBe(1)
  const [batch] = batches as [FactBatch]
  expect(batch).toMatchObject({ since: 1000, until: 3000, sessions: 3, dropped: 0 })
  expect(linesOf(batch)).toEqual(['{"now":2000}', '{"now":1000}', '{"now":3000}'])
  expect(log.waiting).toBe(0)
  log.record('{"now":5000}', 5000)
  await expect.poll(() => batches.length, patience).toBe(2)
  expect(batches[1]).toMatchObject({ since: 5000, until: 5000, sessions: 1 })
})

test('a full batch goes at once', async () => {
  const { batches, send } = storage()
  const log = factLog({ send, everyMs: 60_000 })
  for (let i = 0; i < 5000; i++) log.record('{}', i)
  await expect.poll(() => batches.length, patience).toBe(1)
  expect(batches[0]?.sessions).toBe(5000)
})

describe('bounds', () => {
  test('lines beyond the most are dropped, and the next batch says how many', async () => {
    const { batches, send } = storage()
    const log = factLog({ send })
    // One turn of the event loop: the first batch is being compressed, and nothing leaves meanwhile.
    for (let i = 0; i < 40_000; i++) log.record('{}', i)
    expect(log.waiting).toBeLessThanOrEqual(25_000)
    await expect.poll(() => sum(batches, 'sessions') + sum(batches, 'dropped'), patience).toBe(40_000)
    expect(sum(batches, 'dropped')).toBeGreaterThanOrEqual(15_000)
  })

  test('few long lines count as many short ones', async () => {
    const { batches, send } = storage()
    const log = factLog({ send })
    const line = JSON.stringify({ text: 'x'.repeat(1_000_000) })
    for (let i = 0; i < 40; i++) log.record(line, i)
    expect(log.waiting).toBeLessThan(13)
    await expect.poll(() => sum(batches, 'sessions') + sum(batches, 'dropped'), patience).toBe(40)
    expect(sum(batches, 'dropped')).toBeGreaterThan(27)
  })
})

describe('storage that is away', () => {
  test('is told of once, and has everything when it is back', async () => {
    const { batches, state, send } = storage()
    const failures: unknown[] = []
    const log = factLog({ send, failed: (error) => failures.push(error) })
    state.away = true
    log.record('{"a":1}', 1)
    await expect.poll(() => failures.length, patience).toBe(1)
    log.record('{"b":2}', 2)
    expect(log.waiting).toBe(2)
    await expect.poll(() => state.asked, patience).toBeGreaterThan(2)
    state.away = false
    await expect.poll(() => sum(batches, 'sessions'), patience).toBe(2)
    expect(failures.length).toBe(1)
    expect(sum(batches, 'dropped')).toBe(0)
    expect(batches.flatMap(linesOf)).toEqual(['{"a":1}', '{"b":2}'])
  }, 60_000)

  test.each([400, 404, 413, 422])(
    'a batch that it refuses with %i is dropped and counted; the next one goes',
    async (status) => {
      const { batches, state, send } = storage()
      const failures: unknown[] = []
      const log = factLog({ send, failed: (error) => failures.push(error) })
      state.refuses = status
      log.record('{"bad":1}', 1)
      log.record('{"bad":2}', 1)
      await expect.poll(() => failures.length, patience).toBe(1)
      expect(log.waiting).toBe(0)
      state.refuses = undefined
      log.record('{"good":1}', 2)
      await expect.poll(() => batches.length, patience).toBe(1)
      expect(batches[0]).toMatchObject({ sessions: 1, dropped: 2 })
      log.record('{"good":2}', 3)
      await expect.poll(() => batches.length, patience).toBe(2)
      expect(batches[1]?.dropped).toBe(0)
    },
  )
})

describe('the end', () => {
  test('what waits is shipped', async () => {
    const { batches, send } = storage()
    const log = factLog({ send, everyMs: 60_000 })
    log.record('{}', 1)
    await log.close()
    expect(sum(batches, 'sessions')).toBe(1)
  })

  test('storage that is away is asked once more and not waited for', async () => {
    const { batches, state, send } = storage()
    const failures: unknown[] = []
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const log = factLog({ send, failed: (error) => failures.push(error) })
    state.away = true
    log.record('{}', 1)
    vi.advanceTimersByTime(10)
    await when(() => failures.length === 1)
    const { asked } = state
    // No time goes by.
    await log.close(5000)
    expect(state.asked).toBe(asked + 1)
    expect(batches).toEqual([])
    // Nothing is planned that would ask again.
    expect(vi.getTimerCount()).toBe(0)
  })

  test('storage that is silent costs the grace and no more', async () => {
    const { state, send } = storage()
    state.silent = true
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const log = factLog({ send })
    log.record('{}', 1)
    vi.advanceTimersByTime(10)
    await when(() => state.asked === 1)
    let isClosed = false
    const closed = log.close(5000).then(() => {
      isClosed = true
    })
    await when(() => vi.getTimerCount() === 1)
    await vi.advanceTimersByTimeAsync(4999)
    expect(isClosed).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    await closed
  })
})
