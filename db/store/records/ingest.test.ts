import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { openRecords } from '../open.ts'
import { ingest, storedUpTo } from './ingest.ts'

it('keeps how far storage has each log of each worker; what comes late moves nothing back', async () => {
  const records = await openRecords({
    url: `file:${join(mkdtempSync(join(tmpdir(), 'postern-ingest-')), 'events.db')}`,
  })
  const [one, other] = ['0a1b2c3d4e5f', 'f5e4d3c2b1a0']
  expect(await storedUpTo(records, 'smtp-1', one)).toBe(0)
  expect(await ingest(records, { worker: 'smtp-1', log: one, last: 7 })).toBe(7)
  expect(await ingest(records, { worker: 'smtp-1', log: one, last: 3 })).toBe(7)
  expect(await ingest(records, { worker: 'smtp-1', log: other, last: 2 })).toBe(2)
  expect(await ingest(records, { worker: 'queue-1', log: one, last: 1 })).toBe(1)
  expect(await storedUpTo(records, 'smtp-1', one)).toBe(7)
})
