import { mkdtemp, readdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { EventLog } from './event-log.ts'

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
  for (let i = 0; i < 500 && !condition(); i++) await sleep(10)
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
