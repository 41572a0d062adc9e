import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { EventLog } from './event-log.ts'
import { noSmallDisk, smallDisk } from './test/disk.ts'

const folder = () => mkdtemp(join(tmpdir(), 'postern-events-'))

/** Storage as the API keeps it: each number once. */
function storage() {
  const stored = new Map<number, Record<string, unknown>>()
  const state = { away: false, refuse: (_event: Record<string, unknown>) => false, calls: 0 }
  const send = async (lines: readonly string[]) => {
    state.calls++
    if (state.away) throw new Error('away')
    const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    if (events.some(state.refuse)) throw Object.assign(new Error('unprocessable'), { status: 422 })
    for (const event of events) stored.set(event.n as number, event)
    return Math.max(0, ...stored.keys())
  }
  return { stored, state, send }
}

const applied = (revision: number) => ({ revision, tookMs: 1 })

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 2_000 && !condition(); i++) await sleep(10)
  expect(condition()).toBe(true)
}

test('events are numbered without gaps and stored once each', async () => {
  const { stored, send } = storage()
  const log = await EventLog.open({ directory: await folder(), send })
  log.numberFrom(0)
  log.startShipping()
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
  first.numberFrom(41)
  first.startShipping()
  for (let i = 0; i < 700; i++) first.record('policy.applied', applied(i))
  await first.close(10)
  expect(stored.size).toBe(0)

  state.away = false
  const second = await EventLog.open({ directory, send })
  second.numberFrom(0)
  second.record('policy.applied', applied(9999))
  second.startShipping()
  await until(() => stored.size === 701)
  expect(stored.get(42)).toMatchObject({ revision: 0 })
  expect(stored.get(742)).toMatchObject({ revision: 9999 })
  await second.close()
})

test('a torn last line is not shipped, and its number is given again', async () => {
  const directory = await folder()
  await writeFile(
    join(directory, '000000000000001.ndjson'),
    '{"n":1,"at":"x","type":"policy.applied"}\n{"n":2,"at":"x","ty',
  )
  const { stored, send } = storage()
  const log = await EventLog.open({ directory, send })
  log.record('policy.applied', applied(7))
  log.startShipping()
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
  log.startShipping()
  await until(() => stored.size === 1)
  await log.close()
  expect(await readdir(directory)).toEqual(['000000000000001.ndjson'])
})

test('more than memory holds goes by way of the disk, in order, and files of the past are removed', async () => {
  const directory = await folder()
  const { stored, state, send } = storage()
  state.away = true
  const log = await EventLog.open({ directory, send })
  log.numberFrom(0)
  for (let round = 0; round < 5; round++) {
    for (let i = 0; i < 12_000; i++) log.record('policy.applied', applied(i))
    await log.flush()
  }
  state.away = false
  log.startShipping()
  await until(() => stored.size === 60_000)
  expect((await readdir(directory)).length).toBeLessThanOrEqual(2)
  await log.close()
})

test('one event that storage refuses does not hold up the others, and its loss is said', async () => {
  const { stored, state, send } = storage()
  state.refuse = (event) => event.revision === 13
  const log = await EventLog.open({ directory: await folder(), send })
  log.numberFrom(0)
  for (let i = 0; i < 40; i++) log.record('policy.applied', applied(i))
  log.startShipping()
  await until(() => [...stored.values()].some((event) => event.type === 'log.dropped'))
  expect(stored.size).toBe(40)
  await log.close()
})

test('past its bound the oldest events go, and that is an event', async () => {
  const { stored, state, send } = storage()
  state.away = true
  const log = await EventLog.open({ directory: await folder(), send, maxBytes: 2_000_000 })
  log.numberFrom(0)
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 20_000; i++) log.record('policy.applied', applied(i))
    await log.flush()
  }
  state.away = false
  log.startShipping()
  await until(() => log.unsent === 0)
  expect([...stored.values()].some((event) => event.type === 'log.dropped')).toBe(true)
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
    log.numberFrom(0)
    return { disk, stored, state, log, failures, send }
  }

  const numbersOn = async (directory: string): Promise<number[]> => {
    const names = (await readdir(directory)).sort()
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
    log.startShipping()
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
    log.startShipping()
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
    log.startShipping()
    await until(() => log.unsent === 0)
    const dropped = [...stored.values()]
      .filter(({ type }) => type === 'log.dropped')
      .map(({ count }) => count as number)
    expect(dropped.length).toBeGreaterThan(0)
    expect(stored.size - dropped.length + dropped.reduce((sum, count) => sum + count, 0)).toBe(120_000)
    await log.close()
  })
})
