import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { EventFilter } from './filter.ts'
import { eachOnce, joined } from './ranges.ts'
import type { LoggedEvent, Position } from './search.ts'
import { accepted, attempt, batchOf, openTestLog, type TestEvent, type TestLog, ten } from './test/events.ts'

const range = fc
  .record({
    worker: fc.constantFrom('smtp-1', 'queue-1'),
    first: fc.integer({ min: 1, max: 40 }),
    length: fc.integer({ min: 1, max: 12 }),
  })
  .map(({ worker, first, length }) => ({ worker, log: '0123456789ab', first, last: first + length - 1 }))
const numbersOf = (ranges: { worker: string; first: number; last: number }[]) =>
  ranges.flatMap(({ worker, first, last }) =>
    Array.from({ length: last - first + 1 }, (_, i) => `${worker} ${first + i}`),
  )

it('reads each number of overlapping batches once, without what the Parquet file has', () => {
  fc.assert(
    fc.property(fc.array(range), fc.array(range), (batches, covered) => {
      const known = new Set(numbersOf(covered))
      const wanted = new Set(numbersOf(batches).filter((number) => !known.has(number)))
      const pieces = eachOnce(batches, covered)
      const read = numbersOf(pieces.map(({ batch: { worker }, first, last }) => ({ worker, first, last })))
      expect(read.toSorted()).toEqual([...wanted].sort())
      for (const { batch, first, last } of pieces) expect(first >= batch.first && last <= batch.last).toBe(true)
      expect(numbersOf(joined(covered)).toSorted()).toEqual([...known].sort())
    }),
  )
})

/** What happens to a log: batches come in any cut, more than once; housekeeping runs and stops anywhere; it is restarted. */
type Step =
  | { do: 'append'; log: number; hour: number; first: number; length: number }
  | { do: 'merge' | 'compact'; stopAfter: number }
  | { do: 'restart' }

const hours = 3
const perHour = 8
const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      log: fc.integer({ min: 0, max: 1 }),
      hour: fc.integer({ min: 0, max: hours - 1 }),
      first: fc.integer({ min: 0, max: perHour - 1 }),
      length: fc.integer({ min: 1, max: perHour }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('merge' as const, 'compact' as const),
      stopAfter: fc.integer({ min: 0, max: 6 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
)

/** Event `n` of a log is always the same; several have the same time. */
function eventOf(log: number, n: number): TestEvent {
  const hour = Math.floor((n - 1) / perHour)
  const at = ten + hour * 3_600_000 + Math.floor(((n - 1) % perHour) / 3)
  return n % 2 === 0 ? accepted(n, at, { sender: `sender${log}@example.org` }) : attempt(n, at)
}

const workers = ['smtp-1', 'queue-1']
const nameOf = ({ worker, n }: { worker: string; n: number }) => `${worker} ${n}`

async function carryOut(test: TestLog, step: Step, stored: Map<string, TestEvent & { worker: string }>): Promise<void> {
  if (step.do === 'restart') return test.reopen()
  if (step.do === 'append') {
    const worker = workers[step.log] ?? ''
    const first = step.hour * perHour + step.first + 1
    const last = Math.min((step.hour + 1) * perHour, first + step.length - 1)
    const events = Array.from({ length: last - first + 1 }, (_, i) => eventOf(step.log, first + i))
    await test.log.append(batchOf(events, { worker }))
    for (const event of events) stored.set(nameOf({ worker, n: event.n }), { ...event, worker })
    return
  }
  const { store } = test
  const { create, remove } = store
  let left = step.stopAfter
  const counted = <T>(work: () => Promise<T>) => (left-- > 0 ? work() : Promise.reject(new Error('stopped')))
  store.create = (key, content) => counted(() => create.call(store, key, content))
  store.remove = async (keys) => {
    for (const key of keys) await counted(() => remove.call(store, [key]))
  }
  await (step.do === 'merge' ? test.log.merge({ above: 1 }) : test.log.compact()).catch((error) => {
    if (error.message !== 'stopped') throw error
  })
  Object.assign(store, { create, remove })
}

async function walk(test: TestLog, filter: EventFilter, limit: number): Promise<LoggedEvent[]> {
  const found: LoggedEvent[] = []
  let before: Position | undefined
  do {
    const page = await test.log.find({ ...filter, limit, before })
    found.push(...page.items)
    before = page.next
  } while (before)
  return found
}

it('has every event once, in order, whatever was sent twice, merged, compacted or stopped', {
  timeout: 300_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(stepArbitrary, { minLength: 3, maxLength: 14 }),
      fc.integer({ min: 1, max: 9 }),
      async (steps, limit) => {
        const test = await openTestLog()
        try {
          const stored = new Map<string, TestEvent & { worker: string }>()
          for (const step of steps) await carryOut(test, step, stored)
          const order = (a: { at: number; worker: string; n: number }, b: typeof a) =>
            b.at - a.at || (a.worker < b.worker ? 1 : a.worker > b.worker ? -1 : 0) || b.n - a.n
          const expected = [...stored.values()].sort(order).map(nameOf)
          expect((await walk(test, {}, limit)).map(nameOf)).toEqual(expected)
          await test.log.compact()
          const found = await walk(test, {}, 50)
          expect(found.map(nameOf)).toEqual(expected)
          for (const { worker, n, at, fields } of found) {
            const { n: _n, at: _at, type: _type, messageId, ...sent } = eventOf(workers.indexOf(worker), n)
            expect({ at, fields }).toEqual({ at: _at, fields: { messageId, ...sent } })
          }
          expect(test.damaged).toEqual([])
        } finally {
          await test.end()
        }
      },
    ),
    { numRuns: 12 },
  )
})
