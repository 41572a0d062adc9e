import { beforeAll, expect, it } from 'vitest'
import { type Fixture, owner, startFixture } from './test/fixture.ts'

const from = '198.51.100.77'
let api: Fixture
beforeAll(async () => {
  api = await startFixture({ clientAddress: () => from })
})

const post = async (path: string, body: unknown, token?: string) =>
  (await api.send('POST', path, { body, ...(token === undefined ? {} : { token }) })).json
const remove = (path: string) => api.send('DELETE', path)
type Entry = { action: string; actor: string; entity: string; address?: string }
const audit = async (): Promise<Entry[]> => (await api.send('GET', '/v1/audit?limit=200')).json.items
const entityOf = async (action: string) => (await audit()).find((entry) => entry.action === action)?.entity

it('records the user or token that created, changed or removed an entry', async () => {
  const user = await post('/v1/users', { email: 'Bob@example.org', role: 'viewer', password: 'long enough' })
  expect(await entityOf('user.create')).toBe('bob@example.org')
  await api.send('PATCH', `/v1/users/${user.id}`, { body: { role: 'admin' } })
  expect(await entityOf('user.change')).toBe('bob@example.org')
  await api.send('PATCH', `/v1/users/${user.id}`, { body: { email: 'robert@example.org' } })
  expect(await entityOf('user.change')).toBe('bob@example.org, now robert@example.org')
  await remove(`/v1/users/${user.id}`)
  expect(await entityOf('user.delete')).toBe('robert@example.org')
  const token = await post('/v1/tokens', { name: 'nightly backup', role: 'viewer' })
  await remove(`/v1/tokens/${token.id}`)
  for (const action of ['token.create', 'token.delete'])
    expect(await entityOf(action)).toBe(`nightly backup (${token.id})`)
  const enrolment = await post('/v1/enrol-tokens', { name: 'smtp-5', service: 'smtp' })
  await remove(`/v1/enrol-tokens/${enrolment.id}`)
  for (const action of ['enrol-token.create', 'enrol-token.delete'])
    expect(await entityOf(action)).toBe(`smtp-5 for smtp (${enrolment.id})`)
  const { items } = (await api.send('GET', '/v1/revisions?limit=3')).json
  expect(items[0].summary).toBe(`enrol-token.delete smtp-5 for smtp (${enrolment.id})`)
})

it('records the address of every request', async () => {
  await post('/v1/auth/token', { email: owner.email, password: 'wrong' }, '')
  const { accessToken, refreshToken } = await post('/v1/auth/token', owner, '')
  await post('/v1/auth/refresh', { refreshToken }, '')
  await post('/v1/auth/refresh', { refreshToken }, '')
  const second = await post('/v1/auth/token', owner, '')
  await post('/v1/auth/logout', { refreshToken: second.refreshToken }, '')
  await api.send('DELETE', '/v1/me/session', { token: accessToken })
  const { items } = (await api.send('GET', '/v1/me/sessions')).json
  const other = await post('/v1/auth/token', owner, '')
  expect(other.accessToken).toBeTruthy()
  const fresh = (await api.send('GET', '/v1/me/sessions')).json.items as { id: string }[]
  const added = fresh.find(({ id }) => !items.some((known: { id: string }) => known.id === id))
  await remove(`/v1/me/sessions/${added?.id}`)
  await api.tokens.smtp()
  await api.send('PATCH', '/v1/settings/general', { body: { maxMessageBytes: 1_000_000 } })
  const entries = (await audit()).filter(({ actor }) => actor !== 'system')
  const actions = new Set(entries.map(({ action }) => action))
  for (const action of ['login', 'login-failed', 'logout', 'refresh-token-reused', 'worker.enrol'])
    expect(actions).toContain(action)
  expect(entries.filter(({ address }) => address !== from)).toEqual([])
})

it('every 409 of the API is in the OpenAPI document', async () => {
  const { paths } = (await api.send('GET', '/openapi.json', { token: '' })).json
  for (const path of [
    '/v1/revisions/{revision}/revert',
    '/v1/certificates/{id}/renew',
    '/v1/messages/{id}/{action}',
    '/v1/me/password',
  ])
    expect([path, paths[path]?.post?.responses['409']?.description]).toEqual([path, expect.stringMatching(/\.$/)])
})
