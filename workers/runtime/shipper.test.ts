import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Shipper, type ShipperOptions } from './shipper.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

/** Ships what is in `waiting`, one at a time; storage does what `answer` says. */
function shipping(changes: Partial<ShipperOptions<string>> = {}) {
  const waiting: string[] = []
  const sent: [at: number, batch: string][] = []
  const refused: string[] = []
  const failures: unknown[] = []
  const storage = { answer: (_batch: string): Promise<void> => Promise.resolve() }
  const startedAt = performance.now()
  const shipper = new Shipper<string>({
    next: () => waiting[0],
    send: async (batch) => {
      sent.push([performance.now() - startedAt, batch])
      await storage.answer(batch)
      waiting.shift()
    },
    refused: (batch) => {
      refused.push(batch)
      waiting.shift()
    },
    restMs: () => 100,
    pauses: { firstMs: 200, longestMs: 500 },
    failed: (error) => failures.push(error),
    ...changes,
  })
  return { shipper, waiting, sent, refused, failures, storage }
}

const status = (status: number) => Object.assign(new Error(String(status)), { status })

test('ships what waits, in order, with a rest after each, and again when it is woken', async () => {
  const { shipper, waiting, sent } = shipping()
  waiting.push('a', 'b')
  shipper.wake()
  await vi.advanceTimersByTimeAsync(1_000)
  expect(sent).toEqual([
    [0, 'a'],
    [100, 'b'],
  ])
  waiting.push('c')
  await vi.advanceTimersByTimeAsync(1_000)
  expect(sent).toHaveLength(2)
  shipper.wake()
  await vi.advanceTimersByTimeAsync(0)
  expect(sent.at(-1)).toEqual([2_000, 'c'])
})

test('ends its rest when it has to hurry, but not its pause after a failure', async () => {
  const { shipper, waiting, sent, storage } = shipping()
  waiting.push('a')
  shipper.hurry()
  await vi.advanceTimersByTimeAsync(10)
  waiting.push('b')
  shipper.hurry()
  await vi.advanceTimersByTimeAsync(10)
  expect(sent).toEqual([
    [0, 'a'],
    [10, 'b'],
  ])
  await vi.advanceTimersByTimeAsync(1_000)
  storage.answer = () => Promise.reject(status(503))
  waiting.push('c')
  shipper.hurry()
  await vi.advanceTimersByTimeAsync(50)
  shipper.hurry()
  await vi.advanceTimersByTimeAsync(50)
  expect(sent.filter(([, batch]) => batch === 'c')).toHaveLength(1)
})

test('is told how long storage took', async () => {
  const restMs = vi.fn(() => 0)
  const { shipper, waiting, storage } = shipping({ restMs })
  storage.answer = () => new Promise((resolve) => setTimeout(resolve, 40))
  waiting.push('a')
  shipper.wake()
  await vi.advanceTimersByTimeAsync(40)
  expect(restMs).toHaveBeenCalledWith(40)
})

test('sends the same batch again after a failure, later each time, and tells of the first', async () => {
  const { shipper, waiting, sent, failures, storage } = shipping()
  storage.answer = () => Promise.reject(status(503))
  waiting.push('a')
  shipper.wake()
  await vi.advanceTimersByTimeAsync(1_150)
  expect(sent).toEqual([
    [0, 'a'],
    [200, 'a'],
    [600, 'a'],
    [1_100, 'a'],
  ])
  expect(failures).toHaveLength(1)
  storage.answer = () => Promise.resolve()
  await vi.advanceTimersByTimeAsync(500)
  expect(waiting).toEqual([])
  storage.answer = () => Promise.reject(status(503))
  waiting.push('b')
  shipper.wake()
  await vi.advanceTimersByTimeAsync(150)
  expect(failures).toHaveLength(2)
  // The pauses begin anew.
  await vi.advanceTimersByTimeAsync(150)
  expect(sent.filter(([, batch]) => batch === 'b')).toHaveLength(2)
})

test.each([400, 413, 422])('does not send again what storage refuses with %i', async (code) => {
  const { shipper, waiting, sent, refused, failures, storage } = shipping()
  storage.answer = (batch) => (batch === 'a' ? Promise.reject(status(code)) : Promise.resolve())
  waiting.push('a', 'b')
  shipper.wake()
  await vi.advanceTimersByTimeAsync(1_000)
  expect(sent.map(([, batch]) => batch)).toEqual(['a', 'b'])
  expect(refused).toEqual(['a'])
  expect(failures).toHaveLength(1)
})

test('tells of the first of several refusals, as of failures, and again after a success', async () => {
  const { shipper, waiting, refused, failures, storage } = shipping()
  storage.answer = (batch) => (batch === 'good' ? Promise.resolve() : Promise.reject(status(422)))
  waiting.push('a', 'b', 'c')
  shipper.wake()
  await vi.advanceTimersByTimeAsync(1_000)
  expect(refused).toEqual(['a', 'b', 'c'])
  expect(failures).toHaveLength(1)
  waiting.push('good', 'd')
  shipper.wake()
  await vi.advanceTimersByTimeAsync(1_000)
  expect(failures).toHaveLength(2)
})

test.each([404, 500, 503])('sends again what storage could not take for now (%i)', async (code) => {
  const { shipper, waiting, refused, storage } = shipping()
  let failures = 1
  storage.answer = () => (failures-- > 0 ? Promise.reject(status(code)) : Promise.resolve())
  waiting.push('a')
  shipper.wake()
  await vi.advanceTimersByTimeAsync(1_000)
  expect([waiting, refused]).toEqual([[], []])
})

test('tries again when what goes next cannot be read', async () => {
  let reads = 0
  const next = () => (++reads === 1 ? Promise.reject(new Error('EIO')) : Promise.resolve(reads === 2 ? 'a' : undefined))
  const { shipper, sent, failures } = shipping({ next })
  shipper.wake()
  await vi.advanceTimersByTimeAsync(1_000)
  expect(sent).toEqual([[200, 'a']])
  expect(failures).toHaveLength(1)
})

test('misses no call that comes while it looks whether something waits', async () => {
  const found: (string | undefined)[] = [undefined, 'late', undefined]
  let whileLooking = () => {}
  const { shipper, sent } = shipping({
    next: async () => {
      const batch = found.shift()
      whileLooking()
      return batch
    },
  })
  whileLooking = () => {
    whileLooking = () => {}
    shipper.wake()
  }
  shipper.wake()
  await vi.advanceTimersByTimeAsync(10)
  expect(sent.map(([, batch]) => batch)).toEqual(['late'])
})

test('at its end ships what waits without rest', async () => {
  const { shipper, waiting, sent } = shipping()
  waiting.push('a', 'b', 'c')
  shipper.wake()
  await vi.advanceTimersByTimeAsync(0)
  await shipper.close(1_000)
  expect(sent.map(([at]) => at)).toEqual([0, 0, 0])
  waiting.push('d')
  shipper.wake()
  await vi.advanceTimersByTimeAsync(1_000)
  expect(waiting).toEqual(['d'])
})

test('at its end does not wait for storage that fails', async () => {
  const { shipper, waiting, sent, storage } = shipping()
  storage.answer = () => Promise.reject(status(503))
  waiting.push('a')
  shipper.wake()
  await vi.advanceTimersByTimeAsync(0)
  await shipper.close(1_000)
  await vi.advanceTimersByTimeAsync(10_000)
  expect(sent).toHaveLength(2)
})

test('at its end waits for storage that is silent as long as it may, and no longer', async () => {
  const { shipper, waiting, storage } = shipping()
  storage.answer = () => new Promise(() => {})
  waiting.push('a')
  shipper.wake()
  let isClosed = false
  void shipper.close(1_000).then(() => {
    isClosed = true
  })
  await vi.advanceTimersByTimeAsync(999)
  expect(isClosed).toBe(false)
  await vi.advanceTimersByTimeAsync(1)
  expect(isClosed).toBe(true)
})
