import { cp, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { zstdDecompressSync } from 'node:zlib'
import type { EventBatch } from '@postern/contract/worker-protocol.ts'
import { afterEach, describe, expect, test } from 'vitest'
import { EventLog } from './event-log.ts'
import { noSmallDisk, smallDisk } from './test/disk.ts'

const folder = () => mkdtemp(join(tmpdir(), 'postern-events-'))

type Event = Record<string, unknown> & { n: number; at: string }

/** Storage as the API keeps it: a position for each log, and each number once. */
function storage() {
  /** The events of all logs, in the order in which they came. */
  const events: (Event & { log: string })[] = []
  const stored = new Map<number, Event>()
  const positions = new Map<string, number>()
  const state = { away: false, refuse: (_event: Event) => false, batches: [] as EventBatch[] }
  const send = async (batch: EventBatch) => {
    if (state.away) throw new Error('away')
    const { log, after, first, last, content } = batch
    const position = positions.get(log) ?? 0
    if (after > position) return position
    const sent = zstdDecompressSync(content)
      .toString()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Event)
    expect(sent.map(({ n }) => n)).toEqual(Array.from({ length: last - first + 1 }, (_, i) => first + i))
    expect(new Set(sent.map(({ at }) => at.slice(0, 13))).size).toBe(1)
    if (sent.some(state.refuse)) throw Object.assign(new Error('unprocessable'), { status: 422 })
    state.batches.push(batch)
    for (const event of sent.filter(({ n }) => n > position)) {
      stored.set(event.n, event)
      events.push({ ...event, log })
    }
    positions.set(log, Math.max(position, last))
    return Math.max(position, last)
  }
  return { events, stored, positions, state, send }
}

const applied = (revision: number) => ({ revision, tookMs: 1 })

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 2_000 && !condition(); i++) await sleep(10)
  expect(condition()).toBe(true)
}

test('an event that the disk has damaged is dropped, and that is an event', async () => {
  const { stored, send } = storage()
  const directory = await folder()
  const first = await EventLog.open({ directory, send })
  for (let i = 1; i <= 5; i++) first.record('policy.applied', applied(i))
  await first.close()
  const file = join(directory, '000000000000001.ndjson')
  await writeFile(file, (await readFile(file, 'utf8')).replace('"revision":3,', '"revision":3\u0000'))
  const log = await EventLog.open({ directory, send })
  await log.startShipping(0)
  await until(() => stored.size === 5)
  expect([...stored.values()].map(({ n, revision, type, count }) => [n, revision ?? type, count])).toEqual([
    [1, 1, undefined],
    [2, 2, undefined],
    [4, 4, undefined],
    [5, 5, undefined],
    [6, 'log.dropped', 1],
  ])
  await log.close()
})

test('a busy log rests longer than a quiet one, and a full batch does not wait for it', async () => {
  const { stored, state, send } = storage()
  const rests = { quiet: 10, busy: 3_600_000 }
  const log = await EventLog.open({ directory: await folder(), send, rests })
  const record = (count: number) => {
    for (let i = 1; i <= count; i++) log.record('policy.applied', applied(i))
  }
  await log.startShipping(0)
  record(1)
  await until(() => stored.size === 1)
  record(200)
  await until(() => stored.size === 201)
  record(10)
  await sleep(100)
  expect(stored.size).toBe(201)
  record(5_000)
  await until(() => stored.size >= 5_201)
  expect(state.batches.map(({ first, last }) => last - first + 1)).toEqual([1, 200, 5_000])
  await log.close()
})

test('events are numbered without gaps and stored once each', async () => {
  const { stored, send } = storage()
  const log = await EventLog.open({ directory: await folder(), send })
  await log.startShipping(0)
  for (let i = 1; i <= 1234; i++) log.record('policy.applied', applied(i))
  await until(() => stored.size === 1234)
  expect([...stored.keys()].sort((a, b) => a - b)).toEqual(Array.from({ length: 1234 }, (_, i) => i + 1))
  expect(log.unsent).toBe(0)
  await log.close()
})

test('what storage did not take waits on disk for the next process, under the same numbers', async () => {
  const directory = await folder()
  const { stored, state, send } = storage()
  state.away = true
  const first = await EventLog.open({ directory, send })
  await first.startShipping(0)
  for (let i = 0; i < 700; i++) first.record('policy.applied', applied(i))
  await first.close(10)
  expect(stored.size).toBe(0)

  state.away = false
  const second = await EventLog.open({ directory, send })
  second.record('policy.applied', applied(9999))
  await second.startShipping(0)
  await until(() => stored.size === 701)
  expect(stored.get(1)).toMatchObject({ revision: 0 })
  expect(stored.get(701)).toMatchObject({ revision: 9999 })
  await second.close()
})

test('a torn last line is not shipped, and its number is given again', async () => {
  const directory = await folder()
  await writeFile(
    join(directory, '000000000000001.ndjson'),
    `${'{"n":1,"at":"2026-11-30T19:00:00.000Z","type":"policy.applied"}'}\n{"n":2,"at":"x","ty`,
  )
  const { stored, send } = storage()
  const log = await EventLog.open({ directory, send })
  log.record('policy.applied', applied(7))
  await log.startShipping(0)
  await until(() => stored.size === 2)
  expect(stored.get(2)).toMatchObject({ revision: 7 })
  await log.close()
})

test('a file that holds nothing but a torn line is written anew', async () => {
  const directory = await folder()
  await writeFile(join(directory, '000000000000001.ndjson'), '{"n":1,"at":')
  const { stored, send } = storage()
  const log = await EventLog.open({ directory, send })
  log.record('policy.applied', applied(5))
  await log.startShipping(0)
  await until(() => stored.size === 1)
  await log.close()
  expect(await readdir(directory)).toEqual(['000000000000001.ndjson', 'log'])
})

test('more than memory holds goes by way of the disk, in order, and files of the past are removed', async () => {
  const directory = await folder()
  const { stored, state, send } = storage()
  state.away = true
  const log = await EventLog.open({ directory, send })
  for (let round = 0; round < 5; round++) {
    for (let i = 0; i < 12_000; i++) log.record('policy.applied', applied(i))
    await log.flush()
  }
  state.away = false
  await log.startShipping(0)
  await until(() => stored.size === 60_000)
  await until(() => log.unsent === 0)
  expect((await readdir(directory)).filter((name) => name.endsWith('.ndjson')).length).toBeLessThanOrEqual(2)
  await log.close()
})

test('one event that storage refuses does not hold up the others, and its loss is said', async () => {
  const { stored, state, send } = storage()
  state.refuse = (event) => event.revision === 13
  const log = await EventLog.open({ directory: await folder(), send })
  for (let i = 0; i < 40; i++) log.record('policy.applied', applied(i))
  await log.startShipping(0)
  await until(() => [...stored.values()].some((event) => event.type === 'log.dropped'))
  expect(stored.size).toBe(40)
  await log.close()
})

test('past its bound the oldest events go, and that is an event', async () => {
  const { stored, state, send } = storage()
  state.away = true
  const log = await EventLog.open({ directory: await folder(), send, maxBytes: 2_000_000 })
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 20_000; i++) log.record('policy.applied', applied(i))
    await log.flush()
  }
  state.away = false
  await log.startShipping(0)
  await until(() => log.unsent === 0)
  const dropped = [...stored.values()].filter(({ type }) => type === 'log.dropped')
  const lost = dropped.reduce((sum, { count }) => sum + (count as number), 0)
  expect(lost).toBeGreaterThan(0)
  expect(stored.size - dropped.length + lost).toBe(80_000)
  await log.close()
})

/** A worker's life: it records so many events, ships them, and stops. */
async function live(directory: string, { send, positions }: ReturnType<typeof storage>, count: number, from = 0) {
  const log = await EventLog.open({ directory, send })
  for (let i = 0; i < count; i++) log.record('policy.applied', applied(from + i))
  await log.startShipping(positions.get(log.id) ?? 0)
  await until(() => log.unsent === 0)
  await log.close()
  return log.id
}

test('a log that is behind storage begins a new one: no event of the new process is taken for an old one', async () => {
  const directory = await folder()
  const kept = storage()
  const first = await live(directory, kept, 50)
  await cp(directory, `${directory}-backup`, { recursive: true })
  expect(await live(directory, kept, 50, 50)).toBe(first)
  // The machine lost power, or its disk was restored: events 51 to 100 are gone here, and storage has them.
  const second = await live(`${directory}-backup`, kept, 30, 1000)
  expect(second).not.toBe(first)
  expect(kept.events.map(({ revision }) => revision)).toEqual([
    ...Array.from({ length: 100 }, (_, i) => i),
    ...Array.from({ length: 30 }, (_, i) => 1000 + i),
  ])
  expect(await live(`${directory}-backup`, kept, 5, 2000)).toBe(second)
  expect(kept.events).toHaveLength(135)
})

test('a new log that was not shipped before the process ended is shipped by the next one, without the events of the former', async () => {
  const directory = await folder()
  const kept = storage()
  const first = await live(directory, kept, 20)
  kept.positions.set(first, 40)
  kept.state.away = true
  const log = await EventLog.open({ directory, send: kept.send })
  for (let i = 0; i < 7; i++) log.record('policy.applied', applied(500 + i))
  await log.startShipping(40)
  await log.close(10)
  kept.state.away = false
  await live(directory, kept, 3, 600)
  expect(kept.events.slice(20).map(({ revision }) => revision)).toEqual([
    500, 501, 502, 503, 504, 505, 506, 600, 601, 602,
  ])
})

test('storage that lost what it had gets again what is still here, and is told that the rest is gone', async () => {
  const kept = storage()
  const log = await EventLog.open({ directory: await folder(), send: kept.send })
  await log.startShipping(0)
  for (let i = 0; i < 30_000; i++) log.record('policy.applied', applied(i))
  await until(() => log.unsent === 0)
  kept.positions.clear()
  kept.events.length = 0
  log.record('policy.applied', applied(30_000))
  await until(() => kept.positions.get(log.id) === 30_001)
  // The file with the numbers up to 20 000 was removed when storage had them.
  expect(kept.events.map(({ n }) => n)).toEqual(Array.from({ length: 10_001 }, (_, i) => 20_001 + i))
  await log.close()
})

test('a batch has events of one hour only', async () => {
  const kept = storage()
  const log = await EventLog.open({ directory: await folder(), send: kept.send })
  for (const at of ['2026-11-30T18:59:59.999Z', '2026-11-30T19:00:00.000Z', '2026-11-30T18:00:00.000Z'])
    log.keep('policy.applied', applied(1), true, at)
  await log.startShipping(0)
  await until(() => log.unsent === 0)
  expect(kept.state.batches.map(({ first, last }) => [first, last])).toEqual([
    [1, 1],
    [2, 2],
    [3, 3],
  ])
  await log.close()
})

describe.skipIf(noSmallDisk)(`a full disk${noSmallDisk ? `: ${noSmallDisk}` : ''}`, () => {
  const open: { close(): unknown }[] = []
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each.close()
  })

  async function onSmallDisk(bytes = 1 << 20) {
    const disk = smallDisk(bytes)
    open.push({ close: () => disk.unmount() })
    const { stored, state, send } = storage()
    const failures: string[] = []
    const refused = (error: unknown) => failures.push(String(error))
    const log = await EventLog.open({ directory: join(disk.path, 'events'), send, refused })
    return { disk, stored, state, log, failures, send }
  }

  const numbersOn = async (directory: string): Promise<number[]> => {
    const names = (await readdir(directory)).filter((name) => name.endsWith('.ndjson')).sort()
    const texts = await Promise.all(names.map((name) => readFile(join(directory, name), 'utf8')))
    // Every line is whole: a reader needs no mercy.
    const lines = texts.flatMap((text) => text.split('\n').slice(0, -1))
    return lines.map((line) => (JSON.parse(line) as { n: number }).n)
  }
  const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1)

  test.each([0, 4096, 70_000])(
    'flush and sync reject with %i bytes of room; with more all of it is on disk, once, in order',
    async (room) => {
      const { disk, state, log } = await onSmallDisk()
      state.away = true
      log.record('policy.applied', applied(1))
      await log.sync()
      await disk.fill(room)
      for (let i = 2; i <= 3000; i++) log.record('policy.applied', applied(i))
      await expect(log.sync()).rejects.toThrow('ENOSPC')
      await expect(log.flush()).rejects.toThrow('ENOSPC')
      log.record('policy.applied', applied(3001))
      await expect(log.sync()).rejects.toThrow('ENOSPC')
      disk.free()
      await log.sync()
      expect(await numbersOn(join(disk.path, 'events'))).toEqual(upTo(3001))
      log.record('policy.applied', applied(3002))
      await log.sync()
      expect(await numbersOn(join(disk.path, 'events'))).toEqual(upTo(3002))
      await log.close(0)
    },
  )

  test('what storage has need not be on this disk any more', async () => {
    const { disk, stored, log, failures } = await onSmallDisk()
    log.record('policy.applied', applied(1))
    await log.sync()
    await disk.fill()
    for (let i = 2; i <= 3000; i++) log.record('policy.applied', applied(i))
    await expect(log.sync()).rejects.toThrow('ENOSPC')
    await log.startShipping(0)
    await until(() => stored.size === 3000)
    await until(() => log.unsent === 0)
    await log.sync()
    expect(failures).toHaveLength(1)
    await log.close()
  })

  test('more than memory ships from is shipped whole and in order when there is room again', async () => {
    const { disk, stored, state, log } = await onSmallDisk(16 << 20)
    state.away = true
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 12_000; i++) log.record('policy.applied', applied(i))
      await log.flush()
    }
    await disk.fill()
    for (let i = 0; i < 12_000; i++) log.record('policy.applied', applied(i))
    await expect(log.flush()).rejects.toThrow('ENOSPC')
    state.away = false
    await log.startShipping(0)
    await until(() => stored.size === 48_000)
    disk.free()
    log.record('policy.applied', applied(48_001))
    await log.sync()
    await until(() => stored.size === 48_001)
    expect([...stored.keys()]).toEqual(upTo(48_001))
    await log.close()
  })

  test('a disk that is full when a new file is begun does not end the log', async () => {
    const { disk, state, log } = await onSmallDisk(16 << 20)
    state.away = true
    for (let i = 0; i < 20_000; i++) log.record('policy.applied', applied(i))
    await log.sync()
    await disk.fill()
    log.record('policy.applied', applied(1))
    await expect(log.sync()).rejects.toThrow('ENOSPC')
    disk.free()
    await log.sync()
    expect(await numbersOn(join(disk.path, 'events'))).toEqual(upTo(20_001))
    await log.close(0)
  })

  test('past its bound what found no disk is dropped, and that is an event', async () => {
    const { disk, stored, state, log } = await onSmallDisk(4 << 20)
    state.away = true
    await disk.fill()
    for (let round = 0; round < 12; round++) {
      for (let i = 0; i < 10_000; i++) log.record('policy.applied', applied(i))
      await log.flush().catch(() => {})
    }
    state.away = false
    await log.startShipping(0)
    await until(() => log.unsent === 0)
    const dropped = [...stored.values()]
      .filter(({ type }) => type === 'log.dropped')
      .map(({ count }) => count as number)
    expect(dropped.length).toBeGreaterThan(0)
    expect(stored.size - dropped.length + dropped.reduce((sum, count) => sum + count, 0)).toBe(120_000)
    await log.close()
  })
})
