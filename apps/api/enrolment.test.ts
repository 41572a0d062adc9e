import { beforeAll, expect, it } from 'vitest'
import { TokenKeys } from './identity/keys.ts'
import { workerRoutes } from './routes/worker.ts'
import { type Fixture, startFixture } from './test/fixture.ts'

let api: Fixture
beforeAll(async () => {
  api = await startFixture()
})

const make = async (service: string, name: string) =>
  (await api.send('POST', '/v1/enrol-tokens', { body: { service, name } })).json as { id: string; token: string }
const enrol = (token: string, service: string, name: string) =>
  api.send('POST', '/v1/worker/enrol', { token: '', body: { token, service, name, version: '1' } })

it('a token enrols only the worker that it names', async () => {
  const { token } = await make('smtp', 'smtp-7')
  expect((await enrol(token, 'smtp', 'smtp-7')).status).toBe(200)
  for (const [service, name] of [
    ['queue', 'queue-1'],
    ['queue', 'smtp-7'],
    ['smtp', 'smtp-1'],
    ['smtp', 'queue-1'],
    ['smtp', 'api'],
  ] as const)
    expect([service, name, (await enrol(token, service, name)).status]).toEqual([service, name, 401])
  expect((await api.send('POST', '/v1/enrol-tokens', { body: { service: 'smtp', name: 'My Worker' } })).status).toBe(
    422,
  )
})

it('a revoked token locks out its worker at once, on every worker route', async () => {
  const { id, token } = await make('queue', 'queue-7')
  const { accessToken } = (await enrol(token, 'queue', 'queue-7')).json
  const routes = workerRoutes(new TokenKeys(api.parts)).filter(({ scope }) => scope === 'worker')
  expect(routes.length).toBeGreaterThan(10)
  const ask = async ({ method, path }: (typeof routes)[number]) => {
    const at = path.replace('{id}', 'x').replace('{n}', '0').replace('changes', 'changes?after=0')
    const body = method === 'post' ? { body: {} } : {}
    return [path, (await api.send(method.toUpperCase(), at, { token: accessToken, ...body })).status] as const
  }
  for (const route of routes) expect((await ask(route))[1]).not.toBe(401)
  await api.send('DELETE', `/v1/enrol-tokens/${id}`)
  for (const route of routes) expect(await ask(route)).toEqual([route.path, 401])
  expect((await enrol(token, 'queue', 'queue-7')).status).toBe(401)
})

it('a new token with the same name locks out the worker of the old one', async () => {
  const first = await make('smtp', 'smtp-8')
  const { accessToken } = (await enrol(first.token, 'smtp', 'smtp-8')).json
  await api.send('DELETE', `/v1/enrol-tokens/${first.id}`)
  await make('smtp', 'smtp-8')
  expect((await api.send('GET', '/v1/worker/snapshot', { token: accessToken })).status).toBe(401)
})

it('refuses a batch with events of another service, of the API, or with numbers far ahead, and stores none of it', async () => {
  const token = await api.tokens.smtp()
  const at = new Date(api.parts.now()).toISOString()
  const fine = { n: 1, at, type: 'worker.stopped', service: 'smtp', cause: 'test' }
  const send = (...events: object[]) => api.send('POST', '/v1/worker/events', { token, body: { events } })
  for (const type of ['delivery.delivered', 'delivery.discarded', 'message.held', 'order.done', 'certificate.issued'])
    expect([type, (await send(fine, { n: 2, at, type })).status]).toEqual([type, 403])
  for (const n of [Number.MAX_SAFE_INTEGER, 4_000_000_000]) expect((await send({ ...fine, n })).status).toBe(422)
  expect((await send(fine)).json).toEqual({ acknowledged: 1 })
  const queue = await api.tokens.queue()
  const login = { n: 1, at, type: 'auth.succeeded', client: { ip: '192.0.2.1' }, login: 'a', mechanism: 'PLAIN' }
  expect((await api.send('POST', '/v1/worker/events', { token: queue, body: { events: [login] } })).status).toBe(403)
})
