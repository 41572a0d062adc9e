import type { Offence } from '@postern/contract/offences.ts'
import { offenceBatchSchema } from '@postern/contract/offences.ts'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Offences, type OffencesOptions } from './offences.ts'

const opened: Offences[] = []
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
})
afterEach(async () => {
  const closed = Promise.all(opened.splice(0).map((one) => one.close()))
  await vi.runOnlyPendingTimersAsync()
  await closed
  vi.useRealTimers()
})

function open(changes: Partial<OffencesOptions> = {}) {
  const batches: (readonly Offence[])[] = []
  const recorded: { type: string; fields: object }[] = []
  const offences = new Offences({
    report: async (batch) => {
      batches.push(batch)
      return { revision: 1, blocked: [] }
    },
    record: (type, fields) => void recorded.push({ type, fields }),
    counts: () => true,
    ...changes,
  })
  opened.push(offences)
  return { offences, batches, recorded }
}

it('what one address does within a few seconds is one entry, with some evidence', async () => {
  const { offences, batches } = open({ now: () => 1_000_000 })
  for (let i = 0; i < 25; i++) offences.note('failed-login', '192.0.2.7', `try ${i}\r\n\x1b[2J`)
  offences.note('invalid-recipient', '192.0.2.7', 'nobody')
  await vi.advanceTimersByTimeAsync(150)
  expect(batches).toHaveLength(1)
  const batch = offenceBatchSchema.parse({ offences: batches[0] }).offences
  expect(batch.map(({ kind, count }) => [kind, count])).toEqual([
    ['failed-login', 25],
    ['invalid-recipient', 1],
  ])
  expect(batch[0]?.evidence).toHaveLength(10)
  expect(batch[0]?.evidence[0]).toBe('try 0???[2J')
})

it('is sent within a tenth of a second, and in full batches under attack', async () => {
  const { offences, batches } = open()
  offences.note('hack-attempt', '192.0.2.1', 'x')
  await vi.advanceTimersByTimeAsync(90)
  expect(batches).toHaveLength(1)
  for (let i = 0; i < 2_000; i++) offences.note('failed-login', `10.0.${i >> 8}.${i & 255}`, 'x')
  await vi.advanceTimersByTimeAsync(400)
  expect(batches.slice(1).map((batch) => batch.length)).toEqual([500, 500, 500, 500])
  expect(new Set(batches.flat().map(({ id }) => id)).size).toBe(2_001)
})

it('is sent again, with the same ids, when the API was away', async () => {
  const seen: string[][] = []
  const { offences } = open({
    report: async (batch) => {
      seen.push(batch.map(({ id }) => id))
      if (seen.length < 3) throw new Error('away')
      return { revision: 1, blocked: [] }
    },
  })
  offences.note('failed-login', '192.0.2.7', 'x')
  await vi.advanceTimersByTimeAsync(1_000)
  expect(seen).toHaveLength(3)
  expect(seen[2]).toEqual(seen[0])
  expect(offences.waiting).toBe(0)
})

it('a batch that the API refuses is not sent again', async () => {
  let calls = 0
  const { offences } = open({
    report: () => {
      calls++
      return Promise.reject(Object.assign(new Error('422'), { status: 422 }))
    },
  })
  offences.note('failed-login', '192.0.2.7', 'x')
  await vi.advanceTimersByTimeAsync(500)
  expect(calls).toBe(1)
})

it('is bounded however many attack while the API is away', async () => {
  const { offences } = open({ report: () => Promise.reject(new Error('away')) })
  for (let i = 0; i < 120_000; i++) offences.note('failed-login', `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, 'x')
  expect(offences.waiting).toBe(50_000)
  await vi.advanceTimersByTimeAsync(50)
  expect(offences.waiting).toBeLessThanOrEqual(50_000)
})

it('a kind without a limit, and an exempt address, are not kept', () => {
  const { offences } = open({ counts: (_kind, address) => address !== '192.0.2.7' })
  offences.note('failed-login', '192.0.2.7', 'x')
  expect(offences.waiting).toBe(0)
})

it('a block that follows from it is an event', async () => {
  const expiresAt = '2026-11-22T12:00:00.000Z'
  const block = { address: '192.0.2.7', kind: 'failed-login', reason: 'r', expiresAt } as const
  const { offences, recorded } = open({ report: async () => ({ revision: 2, blocked: [block] }) })
  offences.note('failed-login', '192.0.2.7', 'x')
  await vi.advanceTimersByTimeAsync(100)
  expect(recorded).toEqual([{ type: 'address.blocked', fields: block }])
})
