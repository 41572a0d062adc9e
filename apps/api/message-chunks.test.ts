import { beforeAll, expect, it } from 'vitest'
import { applyRetention } from './housekeeping.ts'
import { TokenKeys } from './identity/keys.ts'
import { chunkOf, putChunk } from './message-chunks.ts'
import { type Fixture, startFixture } from './test/fixture.ts'
import { workerReport } from './test/worker-report.ts'

/** A submitted message goes through the object store; the database has the request that names it. */
let api: Fixture
beforeAll(async () => {
  api = await startFixture()
})

const message = `Subject: hello\r\n\r\n${'x'.repeat(700_000)}\r\n`
const stored = () => api.parts.eventStore.transit.list({ prefix: 'messages/' })

const openRequests = async (token: string): Promise<string[]> =>
  (await api.send('GET', '/v1/worker/requests', { token })).json.ids

it('a message is stored once, outside the database, until a worker has it', async () => {
  const token = await api.tokens.smtp()
  await api.send('POST', '/v1/worker/report', { token, body: workerReport('smtp') })
  const body = { sender: 'ann@example.org', recipients: ['jane@example.org'], message }
  const submitted = api.send('POST', '/v1/messages', { body })
  await expect.poll(() => openRequests(token)).toHaveLength(1)
  const [id] = await openRequests(token)
  const request = (await api.send('GET', `/v1/worker/requests/${id}`, { token })).json
  expect(request).toMatchObject({ kind: 'submit', sender: 'ann@example.org', chunks: 2 })
  expect((await stored()).map(({ key }) => key)).toEqual([0, 1].map((n) => `messages/${request.bundle}/000${n}`))
  expect((await api.parts.records.$client.execute('select * from message_chunks')).rows).toEqual([])
  const text: string[] = []
  for (let n = 0; n < request.chunks; n += 1)
    text.push((await api.send('GET', `/v1/worker/requests/${request.id}/chunks/${n}`, { token })).text)
  expect(text.join('') === message).toBe(true)
  await api.send('POST', `/v1/worker/requests/${request.id}/answer`, { token, body: { outcome: 'stored' } })
  expect((await submitted).status).toBe(201)
  expect(await stored()).toEqual([])
})

it('a message that is refused for its size leaves nothing', async () => {
  await api.send('PATCH', '/v1/settings/general', { body: { maxMessageBytes: 600_000 } })
  const body = { sender: 'ann@example.org', recipients: ['jane@example.org'], messageBase64: btoa(message) }
  expect((await api.send('POST', '/v1/messages', { body })).status).toBe(413)
  expect(await stored()).toEqual([])
})

it('what an earlier release had in transit is still handed over', async () => {
  await api.parts.records.$client.execute({
    sql: 'insert into message_chunks (bundle, n, octets, created_at) values (?, 0, ?, ?)',
    args: ['former', new Uint8Array([120]), api.parts.now()],
  })
  expect(await chunkOf(api.parts, 'former', 0)).toEqual(Buffer.from([120]))
})

it('what nobody fetched goes after a day', async () => {
  const [old, waiting] = [api.parts.newId(), `content-${api.parts.newId()}`]
  await putChunk(api.parts, { bundle: old, n: 0, bytes: new Uint8Array(1) })
  api.clock.ahead = 25 * 3_600_000
  const fresh = api.parts.newId()
  await putChunk(api.parts, { bundle: fresh, n: 0, bytes: new Uint8Array(1) })
  await putChunk(api.parts, { bundle: waiting, n: 0, bytes: new Uint8Array(1) })
  await applyRetention(api.parts, new TokenKeys(api.parts))
  expect((await stored()).map(({ key }) => key)).toEqual([`messages/${fresh}/0000`])
  expect(await chunkOf(api.parts, 'former', 0)).toBeUndefined()
})
