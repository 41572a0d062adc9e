import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import { expect, it } from 'vitest'
import { openControl } from '../open.ts'
import { changesPage, type Lines, rowLinesById } from './rows.ts'

const many = 100_000
const kinds = ['settings', 'kill'] as const

/** As an import of a large Kill File leaves it: all in one revision. */
async function imported() {
  const database = await openControl({
    url: `file:${join(mkdtempSync(join(tmpdir(), 'postern-rows-')), 'settings.db')}`,
  })
  const numbers = sql`with recursive n(i) as (select 1 union all select i + 1 from n where i < ${many})`
  await database.run(sql`${numbers} insert into changes (revision, seq, kind, id, key, before, after)
    select 2, i, 'kill', hex(randomblob(8)) || i, '@k' || i, null, '{}' from n`)
  await database.run(sql`insert into rows (kind, id, key, value, revision)
    select kind, id, key, after, revision from changes`)
  return database
}

it('pages through a hundred thousand rows and changes in time that grows with their number, not its square', async () => {
  const database = await imported()
  const start = performance.now()
  let changes = 0
  for (let after = { revision: 1, seq: Number.MAX_SAFE_INTEGER }; ; ) {
    const page = await changesPage(database, { kinds, after, upTo: 2, limit: 1000 })
    changes += page.length
    const last = page.at(-1)
    if (!last) break
    after = last
  }
  let rows = 0
  for (let after: string | null = ''; after !== null; ) {
    const page: Lines = await rowLinesById(database, 'kill', { after, limit: 1000 })
    rows += page.n
    after = page.last
  }
  expect({ changes, rows }).toEqual({ changes: many, rows: many })
  // Two seconds; with the wrong index forty.
  expect(performance.now() - start).toBeLessThan(15_000)
}, 60_000)
