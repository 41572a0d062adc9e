import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { accepted, attempt, batchOf, openTestLog, type TestLog, ten } from './test/events.ts'

let test: TestLog
beforeEach(async () => {
  test = await openTestLog()
  const hour = 3_600_000
  await test.log.append(
    batchOf([
      accepted(1, ten),
      accepted(2, ten + 1, {
        recipients: ['bob', 'carol', 'dave'].map((name) => ({
          address: `${name}@example.net`,
          original: `${name}@example.net`,
        })),
      }),
      accepted(3, ten + 61_000, { sender: 'Mallory@example.com' }),
      accepted(4, ten + 62_000, { log: false }),
    ]),
  )
  await test.log.append(
    batchOf(
      [1, 2, 3].map((n) => attempt(n, ten + hour + n * 1_000, { reply: n === 3 ? '421 4.7.0 busy' : '250 2.0.0 ok' })),
      { worker: 'queue-1' },
    ),
  )
})
afterEach(() => test.end())

describe('top', () => {
  it('counts by a column, the most frequent first, over hours', async () => {
    const top = await test.log.top({ by: 'type', limit: 10 })
    expect(top).toMatchObject({
      complete: true,
      searchedBackTo: 0,
      items: [
        { value: 'delivery.delivered', count: 3 },
        { value: 'message.accepted', count: 3 },
      ],
    })
    expect((await test.log.top({ by: 'type', limit: 1 })).items).toHaveLength(1)
  })

  it('counts each recipient, numbers as numbers, and leaves out what has no value', async () => {
    expect((await test.log.top({ by: 'recipient', limit: 2 })).items).toEqual([
      { value: 'bob@example.net', count: 6 },
      { value: 'carol@example.net', count: 1 },
    ])
    expect((await test.log.top({ by: 'domain', limit: 2 })).items).toEqual([{ value: 'example.net', count: 6 }])
    expect((await test.log.top({ by: 'reply_code', limit: 9 })).items).toEqual([
      { value: 250, count: 2 },
      { value: 421, count: 1 },
    ])
    expect((await test.log.top({ by: 'sender', limit: 9, types: ['message.accepted'] })).items).toEqual([
      { value: 'alice@example.org', count: 2 },
      { value: 'mallory@example.com', count: 1 },
    ])
  })

  it('answers what it has when the deadline comes', async () => {
    expect(await test.log.top({ by: 'type', limit: 9, deadlineMs: 0 })).toMatchObject({ items: [], complete: false })
  })

  it('refuses another column', async () => {
    for (const by of ['fields', 'x"; drop table', '__proto__'])
      await expect(test.log.top({ by: by as 'type', limit: 9 })).rejects.toThrow(RangeError)
    await expect(test.log.top({ by: 'type', limit: 0 })).rejects.toThrow(RangeError)
    await expect(test.log.series({ stepMs: 1 })).rejects.toThrow(RangeError)
  })
})

describe('series', () => {
  it('counts by interval', async () => {
    expect((await test.log.series({ stepMs: 60_000 })).items).toEqual([
      { at: ten, count: 2 },
      { at: ten + 60_000, count: 1 },
      { at: ten + 3_600_000, count: 3 },
    ])
  })

  it('counts values of a column by themselves, the rarer ones together', async () => {
    const series = await test.log.series({ stepMs: 3_600_000, by: 'reply_code', values: 1 })
    expect(series.items).toEqual([
      { at: ten + 3_600_000, value: 250, count: 2 },
      { at: ten + 3_600_000, value: null, count: 1 },
    ])
    const types = await test.log.series({ stepMs: 3_600_000, by: 'type', since: ten + 60_000 })
    expect(types.items).toEqual([
      { at: ten, value: 'message.accepted', count: 1 },
      { at: ten + 3_600_000, value: 'delivery.delivered', count: 3 },
    ])
  })
})
