import { beforeAll, expect, it } from 'vitest'
import { type Fixture, startFixture } from './test/fixture.ts'

let api: Fixture
beforeAll(async () => {
  api = await startFixture()
})

const post = async (path: string, body: unknown = {}) => api.send('POST', path, { body })
const general = async () => (await api.send('GET', '/v1/settings/general')).json.settings
const patch = async (body: object) =>
  (await api.send('PATCH', '/v1/settings/general', { body })).json.revision as number
const kill = async () =>
  (await api.send('GET', '/v1/lists/kill?limit=1000')).json.items.map(({ value }: { value: string }) => value)

it('undoes only one change: later changes stay, even in the same group', async () => {
  const { maxMessageBytes: before } = await general()
  const revision = await patch({ maxMessageBytes: 1_000_000, gateway: { host: 'a.test', port: 25, secret: 'one' } })
  await patch({ hostname: 'later.example.org' })
  const dry = await api.send('POST', `/v1/revisions/${revision}/revert?dryRun=true`, { body: {} })
  expect(dry.json).toMatchObject({ dryRun: true, changes: 1 })
  const { json } = await post(`/v1/revisions/${revision}/revert`, { comment: 'a slip' })
  expect(json).toMatchObject({ reverted: revision, changes: 1 })
  expect(await general()).toMatchObject({ maxMessageBytes: before, hostname: 'later.example.org', gateway: 'off' })
  const { items } = (await api.send('GET', '/v1/audit?limit=1')).json
  expect(items[0]).toMatchObject({
    action: 'revert',
    entity: String(revision),
    comment: 'a slip',
    address: '127.0.0.1',
  })
  const again = await post(`/v1/revisions/${json.revision}/revert`)
  expect(again.json.changes).toBe(1)
  expect(await general()).toMatchObject({ maxMessageBytes: 1_000_000, gateway: { host: 'a.test' } })
})

it('answers 409 with the rows that changed since, and undoes them with force', async () => {
  const revision = await patch({ maxMessageBytes: 2_000_000 })
  await patch({ maxMessageBytes: 3_000_000 })
  const refused = await post(`/v1/revisions/${revision}/revert`)
  expect(refused.status).toBe(409)
  expect(refused.json.errors).toEqual([{ path: 'settings general', message: 'maxMessageBytes changed since' }])
  expect((await general()).maxMessageBytes).toBe(3_000_000)
  expect((await post(`/v1/revisions/${revision}/revert`, { force: true })).status).toBe(200)
  expect((await general()).maxMessageBytes).toBe(1_000_000)
})

it('removes what was created and restores what was deleted', async () => {
  const made = (await post('/v1/lists/kill', { value: 'a@b.test' })).json
  const gone = (await api.send('DELETE', `/v1/lists/kill/${made.id}`)).json
  await post('/v1/lists/kill', { value: 'other@b.test' })
  expect((await post(`/v1/revisions/${gone.revision}/revert`)).status).toBe(200)
  expect(await kill()).toEqual(['a@b.test', 'other@b.test'])
  expect((await post(`/v1/revisions/${made.revision}/revert`)).status).toBe(200)
  expect(await kill()).toEqual(['other@b.test'])
  // By now its value has another id.
  await post('/v1/lists/kill', { value: 'a@b.test', comment: 'anew' })
  const inTheWay = await post(`/v1/revisions/${gone.revision}/revert`)
  expect([inTheWay.status, inTheWay.json.errors?.[0].path]).toEqual([409, 'kill a@b.test'])
  expect((await post(`/v1/revisions/${gone.revision}/revert`, { force: true })).status).toBe(200)
  expect(await kill()).toEqual(['a@b.test', 'other@b.test'])
})

it('undoes an import of any size, and answers 412 to a stale If-Match', async () => {
  const before = await kill()
  const lines = Array.from({ length: 2_500 }, (_, i) => `@big${i}.test`).join('\n')
  const { revision } = (await api.send('POST', '/v1/lists/kill/import', { body: lines })).json
  const path = `/v1/revisions/${revision}/revert`
  expect((await api.send('POST', path, { body: {}, headers: { 'if-match': '"1"' } })).status).toBe(412)
  const undone = await post(path)
  expect(undone.json).toMatchObject({ changes: 2_500, diff: { length: 200 } })
  expect(await kill()).toEqual(before)
  expect((await post(`/v1/revisions/${undone.json.revision}/revert`)).json.changes).toBe(2_500)
})

it('says what cannot be undone', async () => {
  expect((await post('/v1/revisions/99999/revert')).status).toBe(404)
  expect((await post('/v1/revisions/1/revert')).status).toBe(422)
  const { revision } = (await post('/v1/services/smtp/restart')).json
  expect((await post(`/v1/revisions/${revision}/revert`)).status).toBe(422)
  const token = await api.tokens.operator()
  expect((await api.send('POST', `/v1/revisions/${revision}/revert`, { token, body: {} })).status).toBe(403)
})

it('a rollback keeps automatic blocks, and the audit log names them when they are made', async () => {
  const then = (await patch({ maxMessageBytes: 4_000_000 })) as number
  const token = await api.tokens.smtp()
  const offence = (i: number) => ({
    id: `019a0000-0000-7000-8000-${String(i).padStart(12, '0')}`,
    kind: 'hack-attempt',
    address: `192.0.2.${i}`,
    at: new Date(api.parts.now()).toISOString(),
    count: 1,
    evidence: ['sent data before the banner'],
  })
  const offences = [offence(1), offence(2), offence(3)]
  const taken = await api.send('POST', '/v1/worker/offences', { token, body: { offences } })
  expect([taken.status, taken.json.blocked?.length]).toEqual([200, 3])
  const { items } = (await api.send('GET', '/v1/audit?limit=1')).json
  expect(items[0]).toMatchObject({ action: 'control-access.block', kind: 'control-access', actor: 'system:offences' })
  expect(items[0].entity).toBe('192.0.2.1, 192.0.2.2, 192.0.2.3')
  const blocks = async () => (await api.send('GET', '/v1/lists/control-access')).json.items.length
  await patch({ maxMessageBytes: 5_000_000 })
  expect((await post(`/v1/revisions/${then}/rollback`)).json.changes).toBe(1)
  expect(await blocks()).toBe(3)
  const [first] = (await api.send('GET', '/v1/lists/control-access')).json.items
  await api.send('DELETE', `/v1/lists/control-access/${first.id}`)
  await post(`/v1/revisions/${taken.json.revision}/rollback`)
  expect(await blocks()).toBe(2)
})
