import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { batchKey } from './file-names.ts'
import type { EventFilter } from './filter.ts'
import type { LoggedEvent } from './search.ts'
import {
  accepted,
  attempt,
  batchOf,
  idAt,
  linesOf,
  logId,
  openTestLog,
  type TestEvent,
  type TestLog,
  ten,
} from './test/events.ts'

let test: TestLog
beforeEach(async () => {
  test = await openTestLog()
})
afterEach(() => test.end())

const find = async (filter: EventFilter = {}) => (await test.log.find({ ...filter, limit: 100 })).items
const numbersOf = (events: readonly LoggedEvent[]) => events.map(({ n }) => n)
const store = (events: TestEvent[], name = {}) => test.log.append(batchOf(events, name))

describe('a batch', () => {
  it('is stored once, and its events are found, newest first', async () => {
    const events = [accepted(1, ten), attempt(2, ten + 5), accepted(3, ten + 5)]
    expect(await store(events)).toBe('created')
    expect(await store(events)).toBe('taken')
    const found = await test.log.find({ limit: 10 })
    expect(numbersOf(found.items)).toEqual([3, 2, 1])
    expect(found).toMatchObject({ complete: true, searchedBackTo: 0, skipped: [] })
    expect(found.next).toBeUndefined()
    const { n: _n, at: _at, type: _type, ...fields } = accepted(1, ten)
    expect(found.items[2]).toEqual({
      worker: 'smtp-1',
      log: logId,
      n: 1,
      at: ten,
      type: 'message.accepted',
      messageId: idAt(ten, 1),
      fields,
    })
  })

  it('counts once where it overlaps with others of its log', async () => {
    const events = Array.from({ length: 10 }, (_, i) => accepted(i + 1, ten + i))
    await store(events.slice(0, 4))
    await store(events.slice(2, 8))
    await store(events.slice(3, 5))
    await store(events.slice(2, 10))
    await store(events.slice(0, 4), { worker: 'smtp-2' })
    await store(events.slice(0, 4), { log: 'ba9876543210' })
    expect(numbersOf(await find({ worker: 'smtp-1' })).filter((n) => n > 4)).toEqual([10, 9, 8, 7, 6, 5])
    expect(await find()).toHaveLength(18)
  })

  it('is refused with a name that cannot be', async () => {
    const batch = batchOf([accepted(1, ten)])
    const wrong = [
      { worker: '../x' },
      { worker: '' },
      { log: 'ABC' },
      { first: 0 },
      { first: 2 },
      { last: 1.5 },
      { hour: ten + 1 },
    ]
    for (const name of wrong) expect(() => test.log.append({ ...batch, ...name })).toThrow(RangeError)
  })
})

describe('a filter', () => {
  beforeEach(async () => {
    await store([
      accepted(1, ten, { sender: '', subject: 'Rechnung "März" für Übersee', client: { ip: '2001:db8::7' } }),
      accepted(2, ten + 1, {
        recipients: [{ address: 'bob@Example.net', original: 'Sales@alias.example' }],
        log: false,
      }),
      accepted(3, ten + 2, {
        recipients: [
          { address: 'bob@Example.net', original: 'Sales@alias.example' },
          { address: 'carol@example.com', original: 'carol@example.com' },
        ],
      }),
      attempt(4, ten + 3, {
        messageId: idAt(ten, 1),
        type: 'delivery.bounced',
        reply: '550-5.1.1 No such user\n550 5.1.1 here',
        cause: 'x',
        status: '5.1.1',
      }),
      {
        n: 5,
        at: ten + 4,
        type: 'command.refused',
        client: { ip: '203.0.113.9', login: 'Eve' },
        sender: 'Eve@example.org',
        recipient: 'bob@example.net',
        verdict: {
          stage: 'rcpt',
          rule: 'blockList',
          reason: 'blocked',
          revision: 119,
          reply: '554 5.7.1 Refused 100% _sure_',
          explanation: [],
          trail: [],
        },
      },
      { n: 6, at: ten + 5, type: 'session.opened', client: { ip: '10.1.2.3' }, session: 's', listener: 'smtp' },
      {
        n: 7,
        at: ten + 6,
        type: 'of.tomorrow',
        client: { ip: 'fe80::1' },
        sender: 7,
        verdict: 'x',
        recipients: { a: 1 },
      },
    ])
  })

  const cases: [EventFilter, number[]][] = [
    [{}, [7, 6, 5, 4, 3, 1]],
    [{ since: ten + 3 }, [7, 6, 5, 4]],
    [{ until: ten + 3 }, [3, 1]],
    [{ since: ten + 3, until: ten + 5 }, [5, 4]],
    [{ types: ['delivery.bounced', 'of.tomorrow'] }, [7, 4]],
    [{ types: [] }, []],
    [{ level: 'verbose' }, [6]],
    [{ level: 'normal' }, [7, 5, 4, 3, 1]],
    [{ worker: 'smtp-1' }, [7, 6, 5, 4, 3, 1]],
    [{ worker: 'smtp' }, []],
    [{ message: idAt(ten, 1) }, [4, 1]],
    [{ message: idAt(ten, 1).toUpperCase() }, [4, 1]],
    [{ sender: '' }, [1]],
    [{ sender: 'EVE@example.ORG' }, [5]],
    [{ recipient: 'sales@ALIAS.example' }, [3]],
    [{ recipient: 'bob@example.net' }, [5, 4, 3, 1]],
    [{ domain: 'Example.com' }, [3]],
    [{ domain: 'example.net' }, [5, 4, 3, 1]],
    [{ client: '203.0.113.9' }, [5]],
    [{ client: '203.0.112.0/23' }, [5]],
    [{ client: '10.1.0.0/16' }, [6]],
    [{ client: '10.1.2.4/31' }, []],
    [{ client: '10.1.2.2/31' }, [6]],
    [{ client: '0.0.0.0/0' }, [6, 5, 3]],
    [{ client: '::/0' }, [7, 1]],
    [{ client: '2001:db8::/32' }, [1]],
    [{ client: '2001:DB8:0:0::7' }, [1]],
    [{ client: '2001:db8::8/125' }, []],
    [{ client: '2001:db8::/125' }, [1]],
    [{ client: 'fe80::/10' }, [7]],
    [{ login: 'eve' }, [5]],
    [{ rule: 'blockList' }, [5]],
    [{ reason: 'blocked' }, [5]],
    [{ code: '554' }, [5]],
    [{ code: '5.7.1' }, [5]],
    [{ code: '5.1.1' }, [4]],
    [{ subject: 'ÜBERSEE' }, [1]],
    [{ q: 'rechnung "MÄRZ"' }, [1]],
    [{ q: 'bounced user' }, [4]],
    [{ q: '100% _SURE_' }, [5]],
    [{ q: 'verdict' }, []],
    [{ q: 'reply' }, []],
    [{ q: '  ' }, [7, 6, 5, 4, 3, 1]],
    [{ q: '%' }, [5]],
    [{ q: '*' }, []],
    [{ q: '\\' }, []],
    [{ rule: 'blockList', sender: 'eve@example.org', code: '554', q: 'refused', client: '203.0.113.0/24' }, [5]],
  ]
  it.each(cases)('%j', async (filter, numbers) => {
    expect(numbersOf(await find(filter))).toEqual(numbers)
  })

  const hostile = [
    "'); drop table x; --",
    '$p1',
    '?',
    '\u202etxt.exe',
    '\u0000',
    '\ud800',
    '😀'.repeat(1_000),
    'zq wq '.repeat(680),
    '%_*\\',
    '"',
    '{}',
    "''''",
  ]
  it.each(hostile)('takes %.60j for a text', async (text) => {
    for (const name of ['q', 'sender', 'recipient', 'subject', 'worker', 'login', 'rule', 'message'] as const)
      expect(numbersOf(await find({ [name]: text })).filter((n) => !(text === '"' && n === 1))).toEqual([])
    await store([attempt(8, ten + 7, { reply: `250 ${text}`, recipients: [] })])
    const found = await find({ q: text })
    expect(numbersOf(found)).toContain(8)
    expect(found[0]?.fields.reply).toBe(`250 ${text.toWellFormed()}`)
  })

  it.each([{ client: 'mx.example.net' }, { client: '10.0.0.0/33' }, { client: '' }, { code: '55' }, { code: '5.7' }])(
    'refuses %j',
    async (filter) => {
      await expect(find(filter)).rejects.toThrow(RangeError)
    },
  )
})

describe('a search', () => {
  it('pages by position, each event once, over hours and workers', async () => {
    const all: string[] = []
    for (let hour = 0; hour < 5; hour++)
      for (const worker of ['smtp-1', 'queue-1']) {
        const events = Array.from({ length: 7 }, (_, i) =>
          accepted(hour * 7 + i + 1, ten + hour * 3_600_000 + Math.floor(i / 3)),
        )
        await store(events, { worker })
        all.push(...events.map(({ n }) => `${worker} ${n}`))
      }
    const found: LoggedEvent[] = []
    for (let page = await test.log.find({ limit: 3 }); ; page = await test.log.find({ limit: 3, before: page.next })) {
      found.push(...page.items)
      expect(page.complete).toBe(page.next === undefined)
      if (page.next) expect(page.searchedBackTo).toBe(page.next.at)
      if (!page.next) break
      expect(page.items).toHaveLength(3)
    }
    expect(found.map(({ worker, n }) => `${worker} ${n}`).sort()).toEqual(all.sort())
    expect(found.map(({ at }) => at)).toEqual(found.map(({ at }) => at).sort((a, b) => b - a))
  })

  it('ends with the reason of its signal', async () => {
    await store([accepted(1, ten)])
    await expect(test.log.find({ limit: 1, signal: AbortSignal.abort(new Error('gone')) })).rejects.toThrow('gone')
    const later = new AbortController()
    const found = test.log.find({ limit: 1, signal: later.signal })
    later.abort(new Error('gone'))
    await expect(found).rejects.toThrow('gone')
    expect(await find()).toHaveLength(1)
  })

  it('answers what it has when the deadline comes, and the next page goes on from there', async () => {
    await store([accepted(1, ten)])
    const page = await test.log.find({ limit: 1, deadlineMs: 0 })
    expect(page).toMatchObject({ items: [], complete: false, next: { at: page.searchedBackTo } })
    expect(numbersOf((await test.log.find({ limit: 1, before: page.next })).items)).toEqual([1])
    const before = { at: ten, worker: 'smtp-1', log: logId, n: 1 }
    expect((await test.log.find({ limit: 1, before, deadlineMs: 0 })).next).toEqual(before)
  })

  it('is empty in an empty log', async () => {
    expect(await test.log.find({ limit: 1 })).toEqual({ items: [], complete: true, searchedBackTo: 0, skipped: [] })
    expect(await test.log.trace(idAt(ten))).toEqual([])
  })
})

describe('a trace', () => {
  it('has the acceptance first, then by time, with what the log leaves out, from the time of the message on', async () => {
    const id = idAt(ten + 1_000)
    await store(
      [attempt(1, ten, { messageId: id, reply: 'before its time' }), attempt(2, ten + 2_000, { messageId: id })],
      { worker: 'queue-1' },
    )
    await store([accepted(1, ten + 2_000, { messageId: id }), accepted(2, ten + 2_001)])
    await store([attempt(3, ten + 90_000_000, { messageId: id, log: false })], { worker: 'queue-1' })
    const events = await test.log.trace(id)
    expect(events.map(({ worker, n }) => `${worker} ${n}`)).toEqual(['smtp-1 1', 'queue-1 1', 'queue-1 2', 'queue-1 3'])
    expect(events.at(-1)?.fields).not.toHaveProperty('log')
  })
})

describe('a file that cannot be read', () => {
  const key = (first: number, last: number) => batchKey({ worker: 'smtp-1', log: logId, hour: ten, first, last })
  const good = batchOf([accepted(1, ten), accepted(2, ten + 1)])
  const cut = good.content.subarray(0, good.content.length - 4)
  const damagedFiles: [string, Uint8Array, string][] = [
    ['garbage', Buffer.from('garbage'), 'not compressed with zstd'],
    ['empty', Buffer.from(''), 'empty'],
    ['cut off', cut, 'cut off'],
    ['other numbers', good.content, 'it has the number 1 where 11 should be'],
    [
      'a torn last line',
      zstdCompressSync(linesOf([accepted(11, ten), accepted(12, ten)]).slice(0, -20)),
      'event 12 is not JSON',
    ],
    ['another format', zstdCompressSync('{"a":1}\n{"a":2}\n'), 'it has the number undefined where 11 should be'],
    [
      'a line that is too long',
      zstdCompressSync(linesOf([accepted(11, ten, { subject: 'x'.repeat(9_000_000) }), accepted(12, ten)])),
      'event 11 has 9000',
    ],
  ]
  it.each(damagedFiles)('%s is named once, skipped and counted', async (_, content, reason) => {
    await test.log.append(good)
    await test.store.create(key(11, 12), content)
    for (let i = 0; i < 2; i++) {
      const found = await test.log.find({ limit: 10 })
      expect(numbersOf(found.items)).toEqual([2, 1])
      expect(found.skipped).toEqual([key(11, 12)])
    }
    expect(test.damaged).toEqual([expect.stringContaining(reason)])
    expect(test.damaged[0]).toContain(key(11, 12))
  })

  it('that is not of the log is named once', async () => {
    await test.log.append(good)
    await test.store.create('log/2026-11-30/10/notes.txt', Buffer.from('x'))
    await test.store.create('log/2026-11-30/parquet/99.parquet', Buffer.from('x'))
    await test.store.create('log/other/file', Buffer.from('x'))
    expect(numbersOf(await find())).toEqual([2, 1])
    expect(numbersOf(await find())).toEqual([2, 1])
    expect(test.damaged.sort()).toEqual([
      'log/2026-11-30/10/notes.txt: not a file of the log',
      'log/2026-11-30/parquet/99.parquet: not a file of the log',
    ])
  })

  it('is not one with a very long line', async () => {
    const many = Array.from({ length: 40_000 }, (_, i) => ({
      address: `u${i}@example.net`,
      original: `u${i}@example.net`,
    }))
    await store([accepted(1, ten), accepted(2, ten + 1, { recipients: many }), accepted(3, ten + 2)])
    expect(numbersOf(await find())).toEqual([3, 2, 1])
    expect(numbersOf(await find({ recipient: 'u39999@example.net' }))).toEqual([2])
    expect(test.damaged).toEqual([])
  })

  it('gives way to files that hold its events', async () => {
    await test.log.append(good)
    await test.store.create(key(1, 9), cut)
    expect(numbersOf(await find())).toEqual([2, 1])
  })

  it('that is a Parquet file gives way to the batches', async () => {
    await test.log.append(good)
    await test.store.create('log/2026-11-30/parquet/10.parquet', Buffer.from('PAR1 and more that is not'))
    expect(numbersOf(await find())).toEqual([2, 1])
    await rm(join(test.directory, good.hour === ten ? key(1, 2) : ''))
    await writeFile(join(test.directory, 'log/2026-11-30/parquet/11.parquet'), 'x')
    expect(await find()).toEqual([])
    expect(test.damaged.map((line) => line.split(':')[0])).toEqual([
      'log/2026-11-30/parquet/10.parquet',
      'log/2026-11-30/parquet/11.parquet',
    ])
  })
})
