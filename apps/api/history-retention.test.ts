import { headOf } from '@postern/store/control/revisions.ts'
import { beforeAll, expect, it } from 'vitest'
import { applyRetention, sweep, sweepAndReport } from './housekeeping.ts'
import { TokenKeys } from './identity/keys.ts'
import { type Fixture, startFixture } from './test/fixture.ts'
import { workerReport } from './test/worker-report.ts'

/** The history of automatic changes is removed after 30 days. Changes by people are kept. */

const day = 86_400_000
let api: Fixture
let keys: TokenKeys
beforeAll(async () => {
  api = await startFixture()
  keys = new TokenKeys(api.parts)
})

const later = (ms: number) => {
  api.clock.ahead += ms
}
const patch = async (maxMessageBytes: number) =>
  (await api.send('PATCH', '/v1/settings/general', { body: { maxMessageBytes } })).json.revision as number
const get = (path: string) => api.send('GET', path)
const head = async () => (await headOf(api.parts.control)).revision

let offences = 0
let blockedFirst = 0
/** Blocks an attacker. */
const block = async (address: string) => {
  const offence = {
    id: `019a0000-0000-7000-8000-${String(++offences).padStart(12, '0')}`,
    kind: 'hack-attempt',
    address,
    at: new Date(api.parts.now()).toISOString(),
    count: 1,
    evidence: ['sent data before the banner'],
  }
  const body = { offences: [offence] }
  const { json, status } = await api.send('POST', '/v1/worker/offences', { token: await freshWorker(), body })
  expect([status, json.blocked?.length]).toEqual([200, 1])
  return json.revision as number
}

/** Gets a new token: the old one lasts an hour, and the clock is advanced by days. */
const freshWorker = async () => {
  await api.tokens.smtp()
  const body = { token: 'enrol-token-of-smtp', service: 'smtp', name: 'smtp-1', version: '0.1.0' }
  return (await api.send('POST', '/v1/worker/enrol', { token: '', body })).json.accessToken as string
}
/** Signs the owner in again for each request, for the same reason. */
const alwaysSignedIn = () => {
  api.tokens.owner = () => api.signIn({ email: 'owner@example.org', password: 'correct horse' })
}
const changesAfter = async ({ revision, id }: { revision: number; id: string }) =>
  (await api.send('GET', `/v1/worker/changes?after=${revision}&id=${id}`, { token: await freshWorker() })).status

it('removes blocks and their end after 30 days, and says so when one is requested', async () => {
  alwaysSignedIn()
  const first = await patch(1_000_000)
  const behind = await headOf(api.parts.control)
  const blocked = await block('192.0.2.1')
  blockedFirst = blocked
  later(2 * 3_600_000)
  await sweep(api.parts)
  const ended = await head()
  expect(ended).toBe(blocked + 1)
  const second = await patch(2_000_000)
  const level = await headOf(api.parts.control)
  later(31 * day)
  await applyRetention(api.parts, keys)

  const revisions = (await get('/v1/revisions?limit=5')).json.items.map(
    ({ revision }: { revision: number }) => revision,
  )
  expect(revisions).toEqual(expect.arrayContaining([second, first]))
  for (const gone of [blocked, ended]) {
    expect(revisions).not.toContain(gone)
    for (const ask of [
      get(`/v1/revisions/${gone}`),
      api.send('POST', `/v1/revisions/${gone}/rollback`, { body: {} }),
      api.send('POST', `/v1/revisions/${gone}/revert`, { body: {} }),
    ]) {
      const { status, json } = await ask
      expect([status, json.title]).toEqual([410, 'Gone'])
      expect(json.detail).toMatch(
        new RegExp(`^Revision ${gone} is no longer kept\\..* 30 days\\..* revision ${first}\\.`),
      )
    }
  }
  expect((await get(`/v1/revisions/${second + 50}`)).status).toBe(404)
  // Around the gap everything works: diff across it, revert, rollback, and the next number.
  const diff = (await get(`/v1/revisions/${second}`)).json
  expect(diff.diff.map(({ label }: { label: string }) => label)).toEqual(['general'])
  expect((await get(`/v1/revisions/${second}?against=${first}`)).json.diff).toHaveLength(1)
  expect((await get(`/v1/revisions/${second}?against=${ended}`)).json.diff).toHaveLength(1)
  expect(await changesAfter(behind)).toBe(410)
  expect(await changesAfter(level)).toBe(200)
  const reverted = await api.send('POST', `/v1/revisions/${second}/revert`, { body: {} })
  expect(reverted.json).toMatchObject({ reverted: second, revision: second + 1 })
  const back = await api.send('POST', `/v1/revisions/${second}/rollback`, { body: {} })
  expect([back.status, back.json.changes]).toEqual([200, 1])
  expect(await changesAfter(level)).toBe(200)
  const audit = (await get('/v1/audit?limit=200')).json.items as { action: string; revision?: number }[]
  expect(audit.filter(({ revision }) => revision === blocked || revision === ended)).toEqual([])
  expect(audit.filter(({ action }) => action === 'settings.change').length).toBeGreaterThanOrEqual(2)
})

it('keeps changes by people, entries still in force, recent changes, and the newest revision', async () => {
  const lifted = await block('192.0.2.10')
  const [entry] = (await get('/v1/lists/control-access')).json.items
  await api.send('DELETE', `/v1/lists/control-access/${entry.id}`)
  const expiresAt = new Date(api.parts.now() + day).toISOString()
  const mine = (await api.send('POST', '/v1/lists/control-access', { body: { value: '192.0.2.11', expiresAt } })).json
  await api.send('PATCH', '/v1/settings/security', { body: { autoDenyMinutes: 43_200 } })
  later(2 * day)
  // An entry by a person and an automatic one expire in the same sweep.
  await api.send('PATCH', '/v1/settings/security', { body: { autoDenyMinutes: 10 } })
  const shortly = await block('192.0.2.12')
  later(3_600_000)
  await sweep(api.parts)
  await api.send('PATCH', '/v1/settings/security', { body: { autoDenyMinutes: 43_200 } })
  const standing = await block('192.0.2.13')
  later(29.9 * day)
  await api.send('PATCH', '/v1/settings/security', { body: { autoDenyMinutes: 10 } })
  const young = await block('192.0.2.14')
  later(day / 20)
  await applyRetention(api.parts, keys)
  for (const kept of [lifted, mine.revision, standing, young])
    expect([kept, (await get(`/v1/revisions/${kept}`)).status]).toEqual([kept, 200])
  expect(shortly).toBeGreaterThan(0)
  later(31 * day)
  await sweep(api.parts)
  const newest = await head()
  later(60 * day)
  await applyRetention(api.parts, keys)
  expect(await head()).toBe(newest)
  expect((await get(`/v1/revisions/${standing}`)).status).toBe(410)
  expect((await get(`/v1/revisions/${lifted}`)).status).toBe(200)
  expect((await get(`/v1/revisions/${mine.revision}`)).status).toBe(200)
  const next = await patch(3_000_000)
  expect(next).toBe(newest + 1)
  expect((await get(`/v1/revisions/${shortly}`)).status).toBe(410)
})

it('a worker behind a gap counts as lagging, although the next revision was removed', async () => {
  const token = await freshWorker()
  const report = workerReport('smtp', { revision: blockedFirst - 1, metrics: {} })
  expect((await api.send('POST', '/v1/worker/report', { token, body: report })).status).toBe(200)
  const { lagSeconds } = await sweepAndReport(api.parts)
  expect(lagSeconds).toBeGreaterThan(0)
})

it('removes 50 000 automatic revisions in batches, while the API keeps answering and saving', async () => {
  const at = api.parts.now()
  const from = await head()
  const many = 50_000
  const numbers = `with recursive n(i) as (select 1 union all select i + 1 from n where i < ${many})`
  const { $client: database } = api.parts.control
  await database.execute(`${numbers} insert into revisions (revision, id, at, actor, action, changes, summary, announced)
    select ${from} + i, 'id-' || i, ${at}, 'system:offences', 'control-access.block', 1, 'a block', 1 from n`)
  // Each is created by one revision and ended by the next.
  await database.execute(`${numbers} insert into changes (revision, seq, kind, id, key, before, after)
    select ${from} + i, 1, 'control-access', 'row-' || ((i - 1) / 2), '198.51.100.1',
      iif(i % 2 = 1, null, '{}'), iif(i % 2 = 1, '{}', null) from n`)
  await database.execute(`${numbers} insert into audit (id, at, actor, action, kind, entity, revision)
    select 'f' || (100000 + i), ${at}, 'system:offences', 'control-access.block', 'control-access', 'a', ${from} + i from n`)
  const last = await patch(4_000_000)
  expect(last).toBe(from + many + 1)
  later(31 * day)
  const token = await api.tokens.owner()
  api.tokens.owner = async () => token
  let isDone = false
  const pruned = applyRetention(api.parts, keys).finally(() => {
    isDone = true
  })
  let answers = 0
  while (!isDone) {
    const path = '/v1/settings/general'
    const answer = await (answers % 5 === 4
      ? api.send('PATCH', path, { body: { maxMessageBytes: 5_000_000 + answers } })
      : get(path))
    expect(answer.status).toBe(200)
    answers++
  }
  await pruned
  const { rows } = await database.execute(`select
    (select count(*) from revisions where revision > ${from} and revision < ${last}) as revisions,
    (select count(*) from changes where revision > ${from} and revision < ${last}) as changes,
    (select count(*) from audit where revision > ${from} and revision < ${last}) as audit`)
  expect({ ...rows[0] }).toMatchObject({ revisions: 0, changes: 0, audit: 0 })
  // If one of them had waited for the whole removal, there would be only two or three.
  expect(answers).toBeGreaterThan(20)
}, 120_000)
