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

it('events of another service and of the API are refused, and nothing of the batch is stored', async () => {
  const token = await api.tokens.smtp()
  const at = new Date(api.parts.now()).toISOString()
  const fine = { at, type: 'worker.stopped', service: 'smtp', cause: 'test' }
  for (const type of ['delivery.delivered', 'delivery.discarded', 'message.held', 'order.done', 'certificate.issued'])
    expect([type, (await api.sendEvents(token, [fine, { at, type }])).status]).toEqual([type, 403])
  expect((await api.sendEvents(token, [fine])).json).toEqual({ acknowledged: 1 })
  const login = { at, type: 'auth.succeeded', client: { ip: '192.0.2.1' }, login: 'a', mechanism: 'PLAIN' }
  expect((await api.sendEvents(await api.tokens.queue(), [login])).status).toBe(403)
})
