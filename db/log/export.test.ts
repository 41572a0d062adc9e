import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { accepted, attempt, batchOf, linesOf, logId, openTestLog, type TestLog, ten } from './test/events.ts'

let test: TestLog
beforeEach(async () => {
  test = await openTestLog()
})
afterEach(() => test.end())

const exported = async (format: 'ndjson' | 'csv' | 'parquet', filter = {}) =>
  Buffer.from(await buffer(test.log.export({ format, ...filter })))

const left = async () => (await readdir(join(test.directory, '../cache/temporary'))).length

it('hands on events as JSON lines, newest first, as they were', async () => {
  const events = [
    accepted(1, ten, { subject: '"=1+1"\n\u0001ü' }),
    accepted(2, ten + 5, { log: false }),
    { n: 3, at: ten + 6, type: 'of.tomorrow' },
  ]
  await test.log.append(batchOf(events))
  await test.log.append(batchOf([attempt(4, ten + 3_600_000)]))
  const lines = (await exported('ndjson')).toString().trimEnd().split('\n')
  expect(lines.map((line) => JSON.parse(line))).toEqual(
    [attempt(4, ten + 3_600_000), events[2], events[0]].map((event) => ({
      worker: 'smtp-1',
      log: logId,
      ...JSON.parse(linesOf(event ? [event] : [])),
    })),
  )
  expect((await exported('ndjson', { types: ['x'] })).toString()).toBe('')
  expect(await left()).toBe(0)
})

it('hands on CSV in which no cell is a formula', async () => {
  expect((await exported('csv')).toString()).toMatch(/^at,worker,log,n,type,.*,fields\n$/)
  await test.log.append(
    batchOf([accepted(1, ten, { subject: '=cmd|"x"', sender: '+49@example.org' }), accepted(2, ten + 3_600_000 - 1)]),
  )
  const [header, second, first] = (await exported('csv')).toString().split('\n')
  expect(header).toMatch(/^at,worker/)
  expect(second).toMatch(/^2026-11-30T10:59:59\.999Z,smtp-1,0123456789ab,2,message\.accepted,6,normal,true,/)
  expect(first).toContain(`"'=cmd|""x"""`)
  expect(first).toContain(`,'+49@example.org,bob@example.net,example.net,192.0.2.7,`)
})

it('hands on Parquet', async () => {
  const path = join(test.directory, '../exported.parquet')
  const count = async () => {
    await writeFile(path, await exported('parquet'))
    const connection = await (await DuckDBInstance.create()).connect()
    const rows = (
      await connection.runAndReadAll(`select n::integer, worker, recipient[1] from read_parquet('${path}')`)
    ).getRowsJson()
    connection.closeSync()
    return rows
  }
  expect(await count()).toEqual([])
  await test.log.append(batchOf([accepted(1, ten)]))
  await test.log.append(batchOf([accepted(2, ten + 3_600_000)]))
  expect(await count()).toEqual(
    expect.arrayContaining([
      [1, 'smtp-1', 'bob@example.net'],
      [2, 'smtp-1', 'bob@example.net'],
    ]),
  )
  expect(await left()).toBe(0)
})

it('ends early and leaves no file', async () => {
  for (let hour = 0; hour < 4; hour++) await test.log.append(batchOf([accepted(hour + 1, ten + hour * 3_600_000)]))
  for await (const chunk of test.log.export({ format: 'ndjson' })) {
    expect(chunk.length).toBeGreaterThan(0)
    break
  }
  expect(await left()).toBe(0)
  await expect(exported('ndjson', { signal: AbortSignal.abort(new Error('gone')) })).rejects.toThrow('gone')
  expect(await left()).toBe(0)
})
